// Nat: who has which port of ours, how long, and what packets are rewritten to. IPv4 with both
// addresses rewritten and one port to a service has flows of its own kind ("narrow"); all others
// are alike.
#include "model.hpp"

namespace sluice::reference {

namespace {

constexpr std::uint32_t idle_closed = 2, idle_opening = 10, idle_udp = 60, idle_tcp = 3600;

}  // namespace

/// May the flow's port be another's? Asked of a narrow flow as a whole, of others as they look from
/// the backend's side.
bool Model::is_over(const Flow& flow, std::uint32_t now, bool of_reply) {
  const auto silent = now - (of_reply ? flow.reply_seen : flow.seen);
  if (flow.udp())
    return silent >= idle_udp;
  if (flow.closed())
    return silent >= idle_closed;
  return silent >= (flow.established ? idle_tcp : idle_opening);
}

/// Addresses, ports and checksums; whether a checksum was right or not, it stays so.
void Model::rewrite(const Parsed& packet, const Rewritten& as) {
  start_frame(packet, 0, 0);
  auto* ip = out(packet.l3);
  auto* l4 = out(packet.l4);
  const auto size = packet.ipv6 ? 16u : 4u, addresses = packet.ipv6 ? 8u : 12u;
  std::ranges::copy(as.source.first(size), ip + addresses);
  std::ranges::copy(as.destination.first(size), ip + addresses + size);
  if (!packet.ipv6) {
    const auto header = packet.l4 - packet.l3;
    put16(ip + 10, 0);
    put16(ip + 10, carried_checksum(sum_of(packet.ip.first(header)), sum_of({ip, header})));
  }
  put16(l4, as.source_port);
  put16(l4 + 2, as.destination_port);
  const auto length = packet.l3 + packet.ip_length - packet.l4;
  const auto before = packet.frame.bytes.subspan(packet.l4, length);
  auto* field = l4 + (packet.protocol == protocol_tcp ? 16 : 6);
  if (packet.protocol == protocol_udp && get16(field) == 0)
    return;  // no checksum was computed (RFC 768)
  put16(field, 0);
  const auto sum = carried_checksum(
      sum_of(before) + sum_of(packet.source()) + sum_of(packet.destination()),
      sum_of({l4, length}) + sum_of(as.source.first(size)) + sum_of(as.destination.first(size)));
  put16(field, packet.protocol == protocol_udp && sum == 0 ? 0xffff : sum);
}

/// A narrow flow takes note of a client's packet. False if it is over.
bool Model::note(const Parsed& packet, Flow& flow, bool& closed) {
  if (is_over(flow, now_, false) || (packet.opens() && flow.closed()) || !flow.has_reply)
    return false;
  const bool was_closed = flow.client_closed;
  flow.seen = now_;
  if (packet.closes())
    flow.client_closed = true;
  if (packet.tcp_flags & flag_rst)
    flow.backend_closed = true;
  if (flow.answered && !(packet.tcp_flags & flag_syn))
    flow.established = true;
  closed = flow.client_closed && !was_closed;
  return true;
}

/// Is this packet of the flow that its addresses and ports were used for last? Then it is noted.
bool Model::goes_on(const Parsed& packet, Flow& flow, bool& closed) {
  const auto& backend = world_->backends[flow.backend];
  if (!backend.enabled)
    return false;
  if (!backend.resolved && (packet.opens() || packet.protocol == protocol_udp))
    return false;  // what begins anew goes where it can
  if (flow.client.narrow)
    return note(packet, flow, closed);
  if (packet.opens() && flow.closed())
    return false;
  if (flow.udp() && is_over(flow, now_, false))
    return false;
  if (flow.seen != now_ || (!flow.udp() && !flow.established)) {
    flow.seen = flow.reply_seen = now_;
    if (flow.answered && !flow.udp() && !(packet.tcp_flags & flag_syn))
      flow.established = true;
  }
  return true;
}

/// A new flow. The program chose its port: read from the frame that left. Nothing, or an end.
Model::End Model::open_flow(const Parsed& packet, const Outcome& seen, bool narrow, Flow*& flow) {
  std::uint16_t id = 0;
  const auto service = packet.service->id;
  if (const auto end = select(packet, id))
    return dropped(*end, service, 0);
  const auto& backend = world_->backends[id];
  if (id && packet.ipv6 != backend.ipv6())
    return dropped(drop(SL_REASON_FAMILY_MISMATCH), service, id);
  if (packet.ip_length > backend.room())
    return dropped(refuse(packet, id), service, id);

  const auto backend_port = backend.port ? backend.port : packet.destination_port;
  const bool preserve = backend.preserve_client_address;
  const Tuple client{key_of(packet.source()), key_of(packet.destination()),
                     packet.source_port,      packet.destination_port,
                     packet.protocol,         narrow};
  Tuple reply{key_of(backend.address),
              preserve ? client.source : key_of(backend.from),
              backend_port,
              packet.source_port,
              packet.protocol,
              narrow};
  const auto living = [&](const Tuple& tuple) {
    auto* owner = flows_.find(flows_.by_reply, tuple);
    const auto current = owner ? flows_.find(flows_.by_client, owner->client) : nullptr;
    return owner && current == owner && !is_over(*owner, now_, !narrow);
  };
  if (world_->crowded &&
      (seen.reason == SL_REASON_NO_PORT || seen.reason == SL_REASON_FLOW_TABLE_FULL))
    return dropped(drop(seen.reason), service, id);
  if (preserve) {
    if (living(reply))
      return dropped(drop(SL_REASON_NO_PORT), service, id);
  } else {
    if (seen.reason == SL_REASON_NO_PORT) {
      // Only for want of one: another flow to the backend's port must have one.
      for (unsigned port = SL_NAT_FIRST_PORT; port <= SL_NAT_LAST_PORT; port++) {
        reply.destination_port = static_cast<std::uint16_t>(port);
        if (living(reply))
          return dropped(drop(SL_REASON_NO_PORT), service, id);
      }
      return dropped(drop(SL_REASON_FLOW_TABLE_FULL), service, id);
    }
    if (seen.bytes.size() < packet.l4 + 2)
      return Answer{};  // it should have left as long as it came
    reply.destination_port = get16(&seen.bytes[packet.l4]);
    if (reply.destination_port < SL_NAT_FIRST_PORT || reply.destination_port > SL_NAT_LAST_PORT ||
        (living(reply) && !world_->crowded))
      return dropped(drop(SL_REASON_NO_PORT), service, id);  // it must not have taken this one
  }
  if (auto* owner = flows_.find(flows_.by_reply, reply)) {
    owner->has_reply = false;
    if (!narrow)
      flows_.by_client.erase(owner->client);
  }
  flow = &flows_.all.emplace_back();
  flow->client = client;
  flow->reply = reply;
  flow->backend = id;
  flow->service = packet.service;
  flow->seen = flow->reply_seen = now_;
  flows_.by_client[client] = flow;
  flows_.by_reply[reply] = flow;
  return {};
}

Model::Answer Model::nat(const Parsed& packet, const Outcome& seen) {
  const auto& pool = world_->pools[packet.service->pool];
  const auto& first = world_->backends[pool.backends[0]];
  const bool narrow =
      !packet.ipv6 && packet.service->has_one_port() && !first.preserve_client_address;
  const Tuple client{key_of(packet.source()), key_of(packet.destination()),
                     packet.source_port,      packet.destination_port,
                     packet.protocol,         narrow};
  bool opened = false, closed = false;
  auto* flow = flows_.find(flows_.by_client, client);
  if (flow && !goes_on(packet, *flow, closed)) {
    flows_.forget(*flow);
    flow = nullptr;
  }
  if (flow && world_->crowded) {
    // It may have been forgotten: then it has another port now, or none.
    const bool refused =
        seen.reason == SL_REASON_NO_PORT || seen.reason == SL_REASON_FLOW_TABLE_FULL;
    const bool moved = seen.reason == SL_REASON_NAT && seen.bytes.size() > packet.l4 + 2 &&
                       get16(&seen.bytes[packet.l4]) != flow->reply.destination_port;
    if (refused || moved) {
      flows_.forget(*flow);
      flow = nullptr;
    }
  }
  if (!flow) {
    if (auto end = open_flow(packet, seen, narrow, flow)) {
      end->edges_unknown = world_->crowded;
      return *end;
    }
    opened = packet.protocol == protocol_udp || packet.opens();
    if (narrow)
      note(packet, *flow, closed);
  }
  auto answer = nat_to(packet, *flow, opened, closed);
  answer.edges_unknown = world_->crowded;
  return answer;
}

Model::Answer Model::nat_to(const Parsed& packet, Flow& flow, bool opened, bool closed) {
  const auto& backend = world_->backends[flow.backend];
  const bool narrow = flow.client.narrow;
  if (narrow || packet.ip_length <= backend.room()) {
    std::ranges::copy(packet.frame.bytes.first(12), flow.way.ethernet.begin());
    flow.way.interface = packet.frame.interface;
    if (narrow)
      ways_.insert(flow.way);
  }
  const auto not_sent = [&](const Answer& end) {
    auto answer = dropped(end, flow.service->id, flow.backend);
    answer.opened = narrow && opened;
    answer.closed = narrow && closed;
    return answer;
  };
  if (packet.ip_length > backend.room())
    return not_sent(refuse(packet, flow.backend));
  if (!narrow && packet.closes()) {
    closed = !flow.client_closed;
    flow.client_closed = true;
    flow.backend_closed |= (packet.tcp_flags & flag_rst) != 0;
  }
  const auto source = bytes_of(flow.reply.destination), destination = bytes_of(flow.reply.source);
  rewrite(packet, {source, destination, flow.reply.destination_port, flow.reply.source_port});
  std::ranges::copy(backend.destination.bytes, out(0));
  std::ranges::copy(backend.source.bytes, out(6));
  auto answer = send(packet, backend.interface, SL_REASON_NAT);
  if (answer.action == Action::drop)
    return not_sent(answer);
  answer.counted = Counted::forwarded;
  answer.service = flow.service->id;
  answer.backend = flow.backend;
  answer.opened = opened;
  answer.closed = closed;
  return answer;
}

/// Replies of narrow flows are noted once in an interval of four seconds, and while the flow opens,
/// and when they end it.
Model::Answer Model::nat_reply(const Parsed& packet, const Outcome& seen) {
  const auto unknown = pass(SL_REASON_UNKNOWN_REPLY);
  Tuple tuple{key_of(packet.source()), key_of(packet.destination()),
              packet.source_port,      packet.destination_port,
              packet.protocol,         true};
  Flow* flow = nullptr;
  if (packet.to->kind == Directory::Kind::nat_source && !packet.ipv6)
    flow = flows_.find(flows_.by_reply, tuple);
  if (flow) {
    if (world_->crowded && seen.reason == SL_REASON_UNKNOWN_REPLY)
      return unknown;
    const auto interval = now_ / 4 % 64;
    if (!flow->established || !flow->reply_noted || flow->interval != interval || packet.closes()) {
      const bool there = flows_.find(flows_.by_client, flow->client) == flow;
      if (!there || is_over(*flow, now_, false)) {
        flows_.by_reply.erase(tuple);
        flow->has_reply = false;
      } else {
        flow->seen = now_;
        flow->answered = flow->reply_noted = true;
        flow->interval = interval;
        flow->backend_closed |= packet.closes();
        flow->client_closed |= (packet.tcp_flags & flag_rst) != 0;
        return turn(packet, *flow, seen);
      }
    } else {
      return turn(packet, *flow, seen);
    }
  }
  tuple.narrow = false;
  flow = flows_.find(flows_.by_reply, tuple);
  if (!flow)
    return unknown;
  flow->reply_seen = now_;
  flow->answered = true;
  flow->backend_closed |= packet.closes();
  flow->client_closed |= (packet.tcp_flags & flag_rst) != 0;
  return turn(packet, *flow, seen);
}

/// The frame in out_ goes to the client: the client's frame turned round.
Model::Answer Model::way_back(const Parsed& packet, const Flow& flow, const Outcome& seen,
                              sl_reason reason) {
  std::copy_n(flow.way.ethernet.begin() + 6, 6, out(0));
  std::copy_n(flow.way.ethernet.begin(), 6, out(6));
  auto interface = static_cast<std::uint8_t>(flow.way.interface);
  // Where the ways are too many to be remembered, the kernel's route is asked.
  if (flow.client.narrow && ways_.size() >= 16) {
    const auto& route = world_->route;
    if (seen.reason == SL_REASON_UNRESOLVED && !route.found)
      return drop(SL_REASON_UNRESOLVED);
    if (route.found && seen.bytes.size() >= 6 &&
        std::ranges::equal(route.destination.bytes, seen.bytes.first(6))) {
      std::ranges::copy(route.destination.bytes, out(0));
      std::ranges::copy(route.source.bytes, out(6));
      interface = route.interface;
    }
  }
  return send(packet, interface, reason);
}

Model::Answer Model::turn(const Parsed& packet, Flow& flow, const Outcome& seen) {
  const auto source = bytes_of(flow.client.destination), destination = bytes_of(flow.client.source);
  rewrite(packet, {source, destination, flow.client.destination_port, flow.client.source_port});
  auto answer = way_back(packet, flow, seen, SL_REASON_NAT_REPLY);
  if (answer.action == Action::drop)
    return answer.reason == SL_REASON_UNRESOLVED
               ? answer
               : dropped(answer, flow.service->id, flow.backend);
  answer.counted = Counted::reply;
  answer.service = flow.service->id;
  answer.backend = flow.backend;
  return answer;
}

}  // namespace sluice::reference
