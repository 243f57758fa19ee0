#include "dataplane/xdp/encode.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "dataplane/xdp/front.hpp"

namespace sluice::dataplane::xdp {

namespace {

void set_words(__u32 (&field)[4], const IpAddress& address) {
  if (address != IpAddress())
    std::ranges::copy(address.words(), field);
}

IpAddress from_words(const __u32 (&field)[4], bool ipv6) {
  if (std::ranges::all_of(field, [](__u32 word) { return word == 0; }))
    return {};
  return ipv6 ? IpAddress::from_v6(field) : IpAddress::from_v4(field);
}

IpAddress from_label(const __u8 (&bytes)[16]) {
  return IpAddress::from_v6(bytes);
}

}  // namespace

void set_name(char (&field)[SL_NAME_LENGTH], std::string_view name) {
  const auto length = std::min(name.size(), sizeof field - 1);
  std::memset(field, 0, sizeof field);
  std::memcpy(field, name.data(), length);
}

std::string_view name_in(const char (&field)[SL_NAME_LENGTH]) {
  return {field, strnlen(field, sizeof field)};
}

sl_backend encode_backend(const planner::BackendKey& key, const planner::BackendImage& backend,
                          std::uint32_t interface) {
  sl_backend entry{};
  const bool ipv6 = !key.address.is_v4();
  std::ranges::copy(backend.destination_mac.bytes, entry.ethernet);
  std::ranges::copy(backend.source_mac.bytes, entry.ethernet + 6);
  entry.ethertype = htons(ipv6 ? 0x86dd : 0x0800);
  if (backend.forwarding == model::Forwarding::dsr_ipip)
    entry.outer = ipv6 ? 40 : 20;
  entry.mtu = backend.resolved ? backend.mtu : __u16{0};
  const bool limited = backend.limit != planner::RateImage{};
  entry.forwarding = static_cast<__u8>(backend.forwarding);
  entry.flags = static_cast<__u8>(
      SL_BACKEND_PRESENT | (backend.resolved ? SL_BACKEND_RESOLVED : 0u) |
      (ipv6 ? SL_BACKEND_IPV6 : 0u) | (backend.enabled ? 0u : SL_BACKEND_DISABLED) |
      (backend.preserve_client_address ? SL_BACKEND_PRESERVE_CLIENT : 0u) |
      (limited ? SL_BACKEND_LIMITED : 0u));
  entry.room = limited ? __u16{0} : static_cast<__u16>(sl_room(&entry));
  entry.port = htons(key.port);
  entry.interface = static_cast<__u8>(interface);
  set_words(entry.address, key.address);
  set_words(entry.source, backend.source);
  entry.outer_sum = ipv6 ? 0 : sl_outer_sum(entry.address[0], entry.source[0]);
  entry.source_mask = backend.source_varying_bits ? htonl(0xffff) : 0;
  return entry;
}

sl_backend_label label_of(const planner::BackendKey& key, const planner::BackendImage& backend) {
  sl_backend_label label{};
  set_name(label.pool, key.pool);
  std::ranges::copy(key.address.bytes(), label.address);
  label.port = key.port;
  label.weight = backend.weight;
  label.ifindex = backend.ifindex;
  return label;
}

planner::BackendKey key_of(const sl_backend_label& label) {
  return {std::string(name_in(label.pool)), from_label(label.address), label.port};
}

planner::BackendImage decode_backend(std::uint16_t id, const sl_backend& entry,
                                     const sl_backend_label& label, const sl_rate& limit) {
  planner::BackendImage backend;
  backend.id = id;
  backend.forwarding = static_cast<model::Forwarding>(entry.forwarding);
  backend.preserve_client_address = entry.flags & SL_BACKEND_PRESERVE_CLIENT;
  backend.weight = label.weight;
  backend.ifindex = label.ifindex;
  std::copy_n(entry.ethernet, 6, backend.destination_mac.bytes.begin());
  std::copy_n(entry.ethernet + 6, 6, backend.source_mac.bytes.begin());
  backend.resolved = entry.flags & SL_BACKEND_RESOLVED;
  backend.mtu = entry.mtu;
  backend.enabled = !(entry.flags & SL_BACKEND_DISABLED);
  backend.source = from_words(entry.source, entry.flags & SL_BACKEND_IPV6);
  backend.source_varying_bits = entry.source_mask ? 16 : 0;
  if (entry.flags & SL_BACKEND_LIMITED)
    backend.limit = decode_rate(limit);
  return backend;
}

sl_rate encode_rate(const planner::RateImage& rate) {
  if (rate.packets_per_second == 0)
    return {};
  constexpr std::uint64_t second = std::uint64_t{1'000'000'000} << SL_LIMIT_SHIFT;
  const std::uint64_t interval = (second + rate.packets_per_second / 2) / rate.packets_per_second;
  return {.interval = interval,
          .depth = rate.burst * interval,
          .packets_per_second = rate.packets_per_second,
          .burst = rate.burst};
}

planner::RateImage decode_rate(const sl_rate& rate) {
  return {.packets_per_second = rate.packets_per_second, .burst = rate.burst};
}

std::uint32_t batch_of(const planner::RateImage& rate) {
  return std::max(std::min(rate.packets_per_second / 1'000'000, rate.burst / 256), 1u);
}

sl_service_label label_of(const planner::ServiceKey& key, const planner::ServiceImage& service) {
  sl_service_label label{};
  set_name(label.name, service.name);
  set_name(label.pool, service.pool);
  std::ranges::copy(key.address.bytes(), label.address);
  label.port = key.port;
  label.port_end = key.port_end;
  label.protocol = protocol_number(key.protocol);
  return label;
}

sl_vip vip_of(const planner::ServiceKey& key) {
  return {.address = key.address.is_v4() ? key.address.words()[0] : 0, .port = htons(key.port)};
}

planner::ServiceKey key_of(const sl_service_label& label) {
  return {from_label(label.address), label.port,
          label.protocol == 6 ? model::Protocol::tcp : model::Protocol::udp, label.port_end};
}

}  // namespace sluice::dataplane::xdp
