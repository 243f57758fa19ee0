// Builds a front: everything that says which packets are ours.
#pragma once

#include "abi.h"
#include "base/result.hpp"
#include "planner/image.hpp"

namespace sluice::dataplane::xdp {

/// Fills `front` from the image's services, the ranges of its tables, and the addresses that nat
/// replies come to or from. Code::full if no perfect hash is found.
Result<void> build_front(const planner::Image& image, sl_front& front);

/// The seed of a service's flow hash: follows from its key alone, so that all nodes choose the same
/// slots.
std::uint64_t service_seed(const planner::ServiceKey& key);

/// enum sl_fragments.
std::uint64_t fragments_of(model::Fragments fragments);

/// What a pool's services have from its table: SL_SERVICE_TRACKED, _AFFINE, how a new flow's
/// backend is chosen, and of QUIC the length and the rotation.
__u32 table_flags(const planner::TableImage& table);

/// Of flags that table_flags gives, what services of this protocol have: QUIC is UDP.
__u32 flags_for(model::Protocol protocol, __u32 flags);

/// 6 or 17.
std::uint8_t protocol_number(model::Protocol protocol);

}  // namespace sluice::dataplane::xdp
