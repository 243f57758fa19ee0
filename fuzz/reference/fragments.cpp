// Fragments that are followed (xdp.fragments: "reassemble"): the later ones go where the first
// went.
#include "model.hpp"

namespace sluice::reference {

namespace {
constexpr std::uint32_t life = 30;  // seconds
/// As far as the data plane knows the clock: what it remembers seems young again after 18 hours.
constexpr std::uint32_t clock = 0xffff;
}  // namespace

/// What the fragments of a datagram have in common: RFC 791; RFC 8200, section 4.5, where only the
/// first fragment's protocol counts.
std::string Model::datagram_key(const Parsed& packet) const {
  std::string key;
  const auto add = [&](Bytes bytes) { key.append(bytes.begin(), bytes.end()); };
  add(packet.source());
  add(packet.destination());
  if (packet.ipv6) {
    add(packet.frame.bytes.subspan(packet.fragment + 4, 4));
  } else {
    add(packet.ip.subspan(4, 2));
    key.push_back(static_cast<char>(packet.protocol));
  }
  return key;
}

Model::Answer Model::first_fragment(Parsed& packet, const Outcome& seen, End end) {
  Datagram datagram{.seen = now_};
  // The kernel has pings, and what nat would have to rewrite.
  if (!end && is_icmp(packet.protocol))
    end = pass(SL_REASON_ICMP);
  if (!end && (!packet.service || is_nat(*packet.service)))
    end = pass(SL_REASON_FRAGMENT);
  if (end) {
    if (end->action == Action::pass)
      datagrams_[datagram_key(packet)] = datagram;
    return *end;
  }
  Placed placed;
  if (const auto lost = place(packet, seen, placed))
    return dropped(*lost, packet.service->id, 0);
  if (placed.id) {
    datagram.backend = placed.id;
    datagram.service = packet.service;
    datagram.hash = packet.hash;
    datagrams_[datagram_key(packet)] = datagram;
  }
  if (const auto held = admit(packet, *packet.service))
    return pool_of(*packet.service).tracked ? placed.with_edges(*held) : *held;
  return in_its_place(packet, *packet.service, placed);
}

Model::Answer Model::later_fragment(Parsed& packet) {
  const bool more_headers =
      packet.ipv6 && (packet.protocol == 0 || packet.protocol == 43 || packet.protocol == 60);
  if (packet.protocol != protocol_tcp && packet.protocol != protocol_udp && !more_headers)
    return pass(SL_REASON_FRAGMENT);
  const auto found = datagrams_.find(datagram_key(packet));
  if (found == datagrams_.end() || ((now_ - found->second.seen) & clock) > life)
    return drop(SL_REASON_FRAGMENT_EARLY);
  const auto& datagram = found->second;
  if (!datagram.backend)
    return pass(SL_REASON_FRAGMENT);
  packet.hash = datagram.hash;
  if (const auto held = admit(packet, *datagram.service))
    return *held;
  return forward_to(packet, *datagram.service, datagram.backend);
}

}  // namespace sluice::reference
