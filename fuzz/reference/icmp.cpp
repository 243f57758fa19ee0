// ICMP for a VIP or an address of nat: errors go where the flow goes that they quote, pings may be
// answered.
#include "model.hpp"

namespace sluice::reference {

Model::Answer Model::icmp(Parsed& packet, const Outcome& seen) {
  if (packet.l4 + 8 > packet.l3 + packet.ip_length)
    return pass(SL_REASON_TRUNCATED);
  const auto* message = &packet.frame.bytes[packet.l4];
  const auto type = message[0];
  if (packet.ipv6 ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12)
    return icmp_error(packet, seen);
  if (type == (packet.ipv6 ? 128 : 8) && message[1] == 0)
    return echo(packet);
  return pass(SL_REASON_ICMP);
}

/// The quoted packet was sent by the VIP: its source is the service and its destination the client.
/// Or nat sent it to a backend.
Model::Answer Model::icmp_error(Parsed& packet, const Outcome& seen) {
  const auto& bytes = packet.frame.bytes;
  const auto end = packet.l3 + packet.ip_length;  // of what the IP header declares
  const auto at = packet.l4 + 8;
  if (at + (packet.ipv6 ? 40 : 20) > end)
    return pass(SL_REASON_TRUNCATED);
  const auto quoted = bytes.subspan(at);
  if (quoted[0] >> 4 != (packet.ipv6 ? 6 : 4))
    return pass(SL_REASON_MALFORMED);
  auto ports_at = at;
  std::uint8_t protocol = 0;
  if (packet.ipv6) {
    if (!std::ranges::equal(source_of(quoted, true), packet.destination()))
      return pass(SL_REASON_ICMP);
    const auto chain = follow_extensions(bytes, at + 40, quoted[6]);
    if (chain.end == Chain::End::truncated)
      return pass(SL_REASON_TRUNCATED);
    if (chain.end != Chain::End::found || chain.later)
      return pass(SL_REASON_ICMP);
    protocol = chain.protocol;
    ports_at = chain.at;
  } else {
    const std::size_t header = (quoted[0] & 15u) * 4u;
    if (header < 20)
      return pass(SL_REASON_MALFORMED);
    if (!std::ranges::equal(source_of(quoted, false), packet.destination()) ||
        get16(&quoted[6]) & 0x1fff)
      return pass(SL_REASON_ICMP);
    protocol = quoted[9];
    ports_at += header;
  }
  if (ports_at + 8 > end)
    return pass(SL_REASON_TRUNCATED);
  const auto service_port = get16(&bytes[ports_at]), client_port = get16(&bytes[ports_at + 2]);
  const Quote quote{at, ports_at, protocol, service_port, client_port};
  if (packet.to->kind == Directory::Kind::nat_source) {
    const bool ours = service_port >= SL_NAT_FIRST_PORT && service_port <= SL_NAT_LAST_PORT &&
                      (protocol == protocol_tcp || protocol == protocol_udp);
    return ours ? nat_error(packet, quote, seen) : pass(SL_REASON_ICMP);
  }
  packet.service = Directory::service(*packet.to, protocol, service_port);
  if (!packet.service)
    return pass(SL_REASON_ICMP);
  packet.client = destination_of(quoted, packet.ipv6);
  packet.source_port = client_port;
  packet.destination_port = service_port;
  packet.hash = hash_of(*packet.service, packet.client, client_port, service_port);
  if (auto held = admit(packet, *packet.service))
    return *held;
  if (is_nat(*packet.service))
    return nat_error(packet, quote, seen);
  auto answer = forward(packet, seen);
  if (answer.action == Action::tx || answer.action == Action::redirect)
    answer.reason = SL_REASON_ICMP_ERROR;
  return answer;
}

Model::Answer Model::echo(const Parsed& packet) {
  const auto header = packet.ipv6 ? 40u : 20u;
  if (!packet.to->answers_echo || packet.l4 != packet.l3 + header || !may_be_answered(packet))
    return pass(SL_REASON_ICMP);
  start_frame(packet, 0, 0);
  std::ranges::copy(packet.frame.bytes.subspan(6, 6), out(0));
  std::ranges::copy(packet.frame.bytes.first(6), out(6));
  auto* ip = out(packet.l3);
  auto* message = out(packet.l4);
  const auto addresses = packet.ipv6 ? 8u : 12u, size = packet.ipv6 ? 16u : 4u;
  std::ranges::copy(packet.destination(), ip + addresses);
  std::ranges::copy(packet.source(), ip + addresses + size);
  // Whether the checksums were right or not, they stay so.
  const auto carry = [](Bytes before, Bytes after, std::uint8_t* field) {
    put16(field, 0);
    put16(field, carried_checksum(sum_of(before), sum_of(after)));
  };
  if (packet.ipv6) {
    ip[7] = 64;
  } else {
    ip[8] = 64;
    carry(packet.ip.first(20), {ip, 20}, ip + 10);
  }
  message[0] = packet.ipv6 ? 129 : 0;
  const auto length = packet.l3 + packet.ip_length - packet.l4;
  carry(packet.frame.bytes.subspan(packet.l4, length), {message, length}, message + 2);
  return {.action = Action::tx, .reason = SL_REASON_ECHO, .changed = true};
}

}  // namespace sluice::reference
