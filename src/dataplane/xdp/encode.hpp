// Entries of backend_pool and of the labels, from an image's values and back.
#pragma once

#include <string_view>

#include "abi.h"
#include "planner/image.hpp"

namespace sluice::dataplane::xdp {

/// @param interface the way out's place in tx_ports
sl_backend encode_backend(const planner::BackendKey& key, const planner::BackendImage& backend,
                          std::uint32_t interface);
sl_backend_label label_of(const planner::BackendKey& key, const planner::BackendImage& backend);
planner::BackendKey key_of(const sl_backend_label& label);
planner::BackendImage decode_backend(std::uint16_t id, const sl_backend& entry,
                                     const sl_backend_label& label, const sl_rate& limit);

sl_rate encode_rate(const planner::RateImage& rate);
planner::RateImage decode_rate(const sl_rate& rate);
/// How many packets a CPU takes from a bucket at once: few enough for the burst, and enough that
/// the bucket is not written to more than a million times a second.
std::uint32_t batch_of(const planner::RateImage& rate);

sl_service_label label_of(const planner::ServiceKey& key, const planner::ServiceImage& service);
/// What replies of the service are sent from; for IPv4 only.
sl_vip vip_of(const planner::ServiceKey& key);
planner::ServiceKey key_of(const sl_service_label& label);

/// Copies a name into a label's field, cut to fit.
void set_name(char (&field)[SL_NAME_LENGTH], std::string_view name);
std::string_view name_in(const char (&field)[SL_NAME_LENGTH]);

}  // namespace sluice::dataplane::xdp
