// ICMP errors about flows of nat: each side gets them as of its own packets (RFC 3022 section 4.3).
#include "model.hpp"

namespace sluice::reference {

/// The flow that the quoted packet is of: a backend's packet where a service sent it, otherwise a
/// client's. Null if there is none.
Flow* Model::quoted_flow(const Parsed& packet, const Quote& quote, const Outcome& seen) {
  const bool by_service = packet.service != nullptr;
  const auto quoted = packet.frame.bytes.subspan(quote.at);
  Tuple tuple{key_of(destination_of(quoted, packet.ipv6)),
              key_of(source_of(quoted, packet.ipv6)),
              quote.destination_port,
              quote.source_port,
              quote.protocol,
              true};
  if (!by_service && seen.reason == SL_REASON_ICMP_ERROR &&
      seen.bytes.size() == packet.frame.bytes.size())
    reveal(tuple, {key_of(source_of(seen.bytes.subspan(quote.at), packet.ipv6)),
                   key_of(destination_of(seen.bytes.subspan(quote.at), packet.ipv6)),
                   get16(&seen.bytes[quote.ports_at]), get16(&seen.bytes[quote.ports_at + 2]),
                   quote.protocol});
  const auto& by = by_service ? flows_.by_client : flows_.by_reply;
  Flow* flow = packet.ipv6 ? nullptr : flows_.find(by, tuple);
  // The way back to the client is known as long as the flow is.
  if (flow && by_service && !world_->backends[flow->backend].enabled)
    flow = nullptr;  // nobody is there who could have sent it
  if (flow && !by_service && flows_.find(flows_.by_client, flow->client) != flow)
    flow = nullptr;
  tuple.narrow = false;
  return flow ? flow : flows_.find(by, tuple);
}

Model::Answer Model::nat_error(const Parsed& packet, const Quote& quote, const Outcome& seen) {
  auto* flow = quoted_flow(packet, quote, seen);
  if (!flow || (world_->crowded && seen.reason == SL_REASON_ICMP))
    return pass(SL_REASON_ICMP);
  const auto& backend = world_->backends[flow->backend];
  const bool to_backend = packet.service != nullptr;
  if (to_backend) {
    if (const auto held = hold_back(packet, flow->backend))
      return dropped(*held, flow->service->id, flow->backend);
    if (!show_port(quote.ports_at + 2, seen, *flow))
      return pass(SL_REASON_ICMP);
  }

  // What the sender of the quoted packet had written.
  const auto& sent = to_backend ? flow->reply : flow->client;
  const auto from = bytes_of(sent.source);
  const auto to = bytes_of(sent.destination);
  const std::size_t size = packet.ipv6 ? 16 : 4, addresses = packet.ipv6 ? 8 : 12;
  start_frame(packet, 0, 0);
  const auto& bytes = packet.frame.bytes;
  const auto carry = [](std::uint64_t before, std::uint64_t after, std::uint8_t* field) {
    put16(field, carried_checksum(before, after));
  };

  auto* inner = out(quote.at);
  const bool hides = !std::ranges::equal(destination_of(bytes.subspan(quote.at), packet.ipv6),
                                         Bytes(to).first(size));
  const auto old_pseudo = sum_of(bytes.subspan(quote.at + addresses, 2 * size));
  std::copy_n(from.begin(), size, inner + addresses);
  std::copy_n(to.begin(), size, inner + addresses + size);
  const auto new_pseudo = sum_of({inner + addresses, 2 * size});
  if (!packet.ipv6) {
    put16(inner + 10, 0);
    carry(sum_of(bytes.subspan(quote.at, 20)), sum_of({inner, 20}), inner + 10);
  }
  auto* ports = out(quote.ports_at);
  const auto end = packet.l3 + packet.ip_length;
  const std::size_t field = quote.protocol == protocol_tcp ? 16 : 6;
  const bool has_sum = quote.ports_at + field + 2 <= end &&
                       !(quote.protocol == protocol_udp && get16(ports + field) == 0);
  put16(ports, sent.source_port);
  put16(ports + 2, sent.destination_port);
  if (has_sum) {
    const auto before =
        old_pseudo + sum_of(bytes.subspan(quote.ports_at, 4)) + get16(ports + field);
    put16(ports + field, carried_checksum(before, new_pseudo + sum_of({ports, 4})));
    if (quote.protocol == protocol_udp && get16(ports + field) == 0)
      put16(ports + field, 0xffff);
  }

  auto* ip = out(packet.l3);
  std::copy_n(from.begin(), size, ip + addresses + size);
  if (hides)
    std::copy_n(to.begin(), size, ip + addresses);
  auto* message = out(packet.l4);
  const auto length = end - packet.l4;
  std::uint64_t before = sum_of(bytes.subspan(packet.l4, length));
  put16(message + 2, 0);
  std::uint64_t after = sum_of({message, length});
  if (packet.ipv6) {
    before += sum_of(packet.ip.subspan(addresses, 2 * size));
    after += sum_of({ip + addresses, 2 * size});
  } else {
    const auto header = packet.l4 - packet.l3;
    put16(ip + 10, 0);
    carry(sum_of(packet.ip.first(header)), sum_of({ip, header}), ip + 10);
  }
  carry(before, after, message + 2);

  Answer answer;
  if (to_backend) {
    std::ranges::copy(backend.destination.bytes, out(0));
    std::ranges::copy(backend.source.bytes, out(6));
    answer = send(packet, backend.interface, SL_REASON_ICMP_ERROR);
  } else {
    answer = way_back(packet, *flow, seen, SL_REASON_ICMP_ERROR);
    if (answer.action == Action::drop && answer.reason == SL_REASON_UNRESOLVED)
      return answer;
  }
  if (answer.action == Action::drop)
    return dropped(answer, flow->service->id, flow->backend);
  answer.counted = to_backend ? Counted::forwarded : Counted::reply;
  answer.service = flow->service->id;
  answer.backend = flow->backend;
  return answer;
}

}  // namespace sluice::reference
