// To a backend by direct return, and why a packet cannot be sent there.
#include "model.hpp"

namespace sluice::reference {

namespace {

constexpr std::uint8_t ttl = 64;

void put_mac(std::uint8_t* at, const MacAddress& mac) {
  std::ranges::copy(mac.bytes, at);
}
void put_address(std::uint8_t* at, const IpAddress& address) {
  std::ranges::copy(Bytes(address.bytes()).subspan(address.is_v4() ? 12 : 0), at);
}

/// An IPv4 header without options (RFC 791): no identification, DF set.
void put_ip4(std::uint8_t* at, std::uint8_t tos, std::size_t length, std::uint8_t protocol) {
  std::fill_n(at, 20, std::uint8_t{0});
  at[0] = 0x45;
  at[1] = tos;
  put16(at + 2, length);
  put16(at + 6, 0x4000);
  at[8] = ttl;
  at[9] = protocol;
}
void put_ip6(std::uint8_t* at, std::size_t payload, std::uint8_t protocol) {
  std::fill_n(at, 40, std::uint8_t{0});
  at[0] = 0x60;
  put16(at + 4, payload);
  at[6] = protocol;
  at[7] = ttl;
}

}  // namespace

void Model::start_frame(const Parsed& packet, std::size_t insert_at, std::size_t insert) {
  const auto& bytes = packet.frame.bytes;
  std::ranges::copy(bytes.first(insert_at), out(0));
  std::ranges::copy(bytes.subspan(insert_at), out(insert_at + insert));
  out_size_ = bytes.size() + insert;
}

Model::Answer Model::dropped(Answer answer, std::uint16_t service, std::uint16_t backend) const {
  answer.counted = Counted::dropped;
  answer.service = service;
  answer.backend = backend;
  return answer;
}

/// The backend that a QUIC connection id names (draft-ietf-quic-load-balancers, without
/// encryption); 0: none that packets can be sent to.
std::uint16_t Model::named(const Parsed& packet) const {
  const auto& pool = world_->pools[packet.service->pool];
  const auto length = pool.server_id_length;
  if (!length || packet.protocol != protocol_udp)
    return 0;
  const auto& bytes = packet.frame.bytes;
  const auto end =
      std::min<std::size_t>(packet.l3 + packet.ip_length, packet.l4 + get16(&bytes[packet.l4 + 4]));
  auto at = packet.l4 + 8;
  if (at >= end)
    return 0;
  auto id_length = end - at - 1;  // a short header does not tell
  if (bytes[at] & 0x80) {         // version, and how long the id is
    if (at + 6 > end)
      return 0;
    id_length = bytes[at + 5];
    at += 5;
  }
  at++;
  if (id_length < 1 + length || at + 1 + length > end || bytes[at] >> 5 != pool.config_rotation)
    return 0;
  for (const auto id : pool.backends) {
    const auto& backend = world_->backends[id];
    if (std::ranges::equal(backend.server_id, bytes.subspan(at + 1, length)))
      return backend.room() ? id : std::uint16_t{0};
  }
  return 0;
}

/// The backend that the packet names itself, or that the flow's slot or its record does; 0: none.
Model::End Model::select(const Parsed& packet, std::uint16_t& id) {
  const auto& pool = pool_of(*packet.service);
  id = 0;
  if (pool.lost)
    return Answer{.reason = SL_REASON_TABLE_BOUND};
  if ((id = named(packet)))
    return {};
  if (pool.slots.empty())
    return {};
  const auto& slot = pool.slots[slot_of(packet.hash, pool.slots.size())];
  auto kind = Packet::other;
  if (is_icmp(packet.protocol))
    kind = Packet::icmp_error;
  else if (packet.protocol == protocol_udp)
    kind = Packet::udp;
  else if (packet.opens())
    kind = Packet::syn;
  else if (packet.closes() && !pool.affine)  // the end of one is not that of a client's others
    kind = Packet::fin_or_rst;
  if (slot.phase != transition::Phase::settled)
    recorded_.push_back(packet.hash);
  id = route(records_, slot, packet.hash, kind, transition::Alive(alive_), now_);
  return {};
}

Model::Answer Model::send(const Parsed& packet, std::uint8_t interface, sl_reason reason) const {
  Answer answer{.reason = reason, .changed = true};
  if (interface == packet.frame.interface)
    answer.action = Action::tx;
  else if (interface < world_->interfaces)
    answer.action = Action::redirect;
  else
    return drop(SL_REASON_MISSING_INTERFACE);
  return answer;
}

Model::Answer Model::Placed::with_edges(Answer answer) const {
  answer.opened = opened;
  answer.closed = closed;
  answer.edge_of = opened || closed ? id : std::uint16_t{0};
  return answer;
}

/// The backend of a packet by direct return. Nothing, or an end.
Model::End Model::place(const Parsed& packet, const Outcome& seen, Placed& placed) {
  if (pool_of(*packet.service).tracked)
    return track(packet, seen, placed);
  placed.opened = packet.opens();
  placed.closed = packet.closes();
  return select(packet, placed.id);
}

Model::Answer Model::forward(const Parsed& packet, const Outcome& seen) {
  Placed placed;
  if (const auto end = place(packet, seen, placed))
    return dropped(*end, packet.service->id, 0);
  return in_its_place(packet, *packet.service, placed);
}

/// A flow that is remembered opens and closes whatever becomes of the packet; of the others only
/// those packets are known that went on.
Model::Answer Model::in_its_place(const Parsed& packet, const Service& service,
                                  const Placed& placed) {
  const auto answer = forward_to(packet, service, placed.id);
  const bool tracked = pool_of(service).tracked;
  return tracked || answer.counted == Counted::forwarded ? placed.with_edges(answer) : answer;
}

Model::Answer Model::forward_to(const Parsed& packet, const Service& service, std::uint16_t id) {
  const auto& backend = world_->backends[id];
  if (const auto end = hold_back(packet, id))
    return dropped(*end, service.id, id);
  const auto outer = backend.outer();
  if (packet.frame.headroom < outer)
    return dropped(drop(SL_REASON_NO_HEADROOM), service.id, id);
  start_frame(packet, packet.l3, outer);
  put_mac(out(0), backend.destination);
  put_mac(out(6), backend.source);
  auto reason = SL_REASON_DSR_L2;
  if (outer) {
    const std::uint8_t inner = packet.ipv6 ? 41 : 4;
    const auto vary = [&](std::uint8_t* last_two_bytes) {
      if (!backend.from_varies)
        return;
      last_two_bytes[0] |= static_cast<std::uint8_t>(packet.hash >> 16);
      last_two_bytes[1] |= static_cast<std::uint8_t>(packet.hash >> 24);
    };
    auto* ip = out(packet.l3);
    put16(ip - 2, backend.ipv6() ? 0x86dd : 0x0800);
    if (backend.ipv6()) {
      put_ip6(ip, packet.ip_length, inner);
      put_address(ip + 8, backend.from);
      put_address(ip + 24, backend.address);
      vary(ip + 22);
      reason = SL_REASON_DSR_IPIP6;
    } else {
      put_ip4(ip, 0, packet.ip_length + 20, inner);
      put_address(ip + 12, backend.from);
      put_address(ip + 16, backend.address);
      vary(ip + 14);
      put16(ip + 10, checksum(sum_of({ip, 20})));
      reason = SL_REASON_DSR_IPIP4;
    }
  }
  auto answer = send(packet, backend.interface, reason);
  if (answer.action == Action::drop)
    return dropped(answer, service.id, id);
  answer.counted = Counted::forwarded;
  answer.service = service.id;
  answer.backend = id;
  return answer;
}

Model::Answer Model::refuse(const Parsed& packet, std::uint16_t id) {
  if (id == 0 || !world_->backends[id].enabled)
    return drop(SL_REASON_NO_BACKEND);
  const auto& backend = world_->backends[id];
  if (!backend.resolved)
    return drop(SL_REASON_UNRESOLVED);
  // Errors are never answered by errors (RFC 1122, RFC 4443).
  return is_icmp(packet.protocol) ? drop(SL_REASON_TOO_BIG) : tell(packet, backend);
}

/// Only one host that spoke to us alone is answered (RFC 1122 section 3.2.2, RFC 4443 section 2.4).
bool Model::may_be_answered(const Parsed& packet) {
  if (packet.frame.bytes[0] & 1)
    return false;
  const auto source = packet.source();
  if (!packet.ipv6)
    return source[0] != 0 && source[0] != 127 && source[0] < 224;
  // Neither a group nor one of the addresses that begin with 64 zeros, ::, ::1 and the mapped ones.
  return source[0] != 0xff &&
         std::ranges::any_of(source.first(8), [](std::uint8_t byte) { return byte != 0; });
}

/// Tells the sender what fits, as operations.md says.
Model::Answer Model::tell(const Parsed& packet, const Backend& backend) {
  const auto* ip = packet.ip.data();
  if (packet.ipv6 ? packet.ip_length <= 1280
                  : (get16(ip + 6) & 0x5fff) != 0x4000 || packet.ip_length < 68)
    return drop(SL_REASON_TOO_BIG);
  if (!may_be_answered(packet))
    return drop(SL_REASON_TOO_BIG);
  if (told_at_ != now_) {
    told_at_ = now_;
    told_ = 0;
  }
  if (told_ >= SL_TOLD_A_SECOND)
    return drop(SL_REASON_TOO_BIG);
  told_++;
  const std::size_t by = packet.ipv6 ? 48 : 28;
  if (packet.frame.headroom < by)
    return drop(SL_REASON_NO_HEADROOM);

  // 576 bytes in all, or 68 of a packet that has not so many to quote; IPv6: 1280 in all.
  const std::size_t quoted = packet.ipv6 ? 1280 - 48 : packet.ip_length < 548 ? 68 : 548;
  start_frame(packet, packet.l3, by);
  out_size_ = packet.l3 + by + quoted;
  std::ranges::copy(packet.frame.bytes.subspan(6, 6), out(0));
  std::ranges::copy(packet.frame.bytes.first(6), out(6));
  auto* answer = out(packet.l3);
  auto* icmp = answer + by - 8;
  std::fill_n(icmp, 8, std::uint8_t{0});
  const Bytes message(icmp, quoted + 8);
  if (packet.ipv6) {
    put_ip6(answer, quoted + 8, icmp6);
    std::ranges::copy(packet.destination(), answer + 8);
    std::ranges::copy(packet.source(), answer + 24);
    icmp[0] = 2;
    put32(icmp + 4, std::max(backend.room(), 1280u));
    put16(icmp + 2, checksum(sum_of(message) + pseudo_sum(packet.destination(), packet.source(),
                                                          icmp6, message.size())));
  } else {
    put_ip4(answer, 0xc0, quoted + 28, icmp4);
    std::ranges::copy(packet.destination(), answer + 12);
    std::ranges::copy(packet.source(), answer + 16);
    put16(answer + 10, checksum(sum_of({answer, 20})));
    icmp[0] = 3;
    icmp[1] = 4;
    put16(icmp + 6, backend.room());
    put16(icmp + 2, checksum(sum_of(message)));
  }
  return {.action = Action::tx, .reason = SL_REASON_TOO_BIG_TOLD, .changed = true};
}

}  // namespace sluice::reference
