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
  const bool was_closed = flow.client_closed, counted = !flow.closed();
  flow.seen = now_;
  if (packet.closes())
    flow.client_closed = true;
  if (packet.tcp_flags & flag_rst)
    flow.backend_closed = true;
  if (flow.answered && !(packet.tcp_flags & flag_syn))
    flow.established = true;
  count_end(flow, counted);
  closed = flow.client_closed && !was_closed;
  return true;
}

/// A narrow flow counts for its backend until it is closed by both, or forgotten.
void Model::count_end(const Flow& flow, bool counted) {
  if (flow.client.narrow && counted && flow.closed())
    tracking_.active[flow.backend]--;
}

void Model::forget(Flow& flow) {
  if (flow.client.narrow && !flow.closed())
    tracking_.active[flow.backend]--;
  flows_.forget(flow);
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

/// Has a flow this port of ours that lives?
bool Model::is_taken(const Tuple& reply) const {
  const auto* owner = flows_.find(flows_.by_reply, reply);
  return owner && flows_.find(flows_.by_client, owner->client) == owner &&
         !is_over(*owner, now_, !reply.narrow);
}

/// Likewise of either kind: they share the ports.
bool Model::is_taken_by_any(Tuple reply) const {
  if (is_taken(reply))
    return true;
  reply.narrow = !reply.narrow;
  return !reply.source.ipv6 && is_taken(reply);
}

/// Can it be that no free port was found? Each of the tries is of another port: of a quarter that
/// is taken, 24 in a row are met once in 10^14 flows.
bool Model::seems_full(Tuple reply) const {
  int others = (SL_NAT_LAST_PORT - SL_NAT_FIRST_PORT + 1) / 4;
  for (unsigned port = SL_NAT_FIRST_PORT; port <= SL_NAT_LAST_PORT && others > 0; port++) {
    reply.destination_port = static_cast<std::uint16_t>(port);
    others -= is_taken_by_any(reply);
  }
  return others == 0;
}

/// The port of ours that the program chose, from what left. Returns whether it may.
bool Model::read_port(std::size_t at, const Outcome& seen, Tuple& reply) const {
  if (seen.bytes.size() < at + 2)
    return false;
  const auto port = get16(&seen.bytes[at]);
  reply.destination_port = port;
  return port >= SL_NAT_FIRST_PORT && port <= SL_NAT_LAST_PORT &&
         (world_->crowded || !is_taken_by_any(reply));
}

/// The flow's first packet that is not held back shows its port.
bool Model::show_port(std::size_t at, const Outcome& seen, Flow& flow) {
  if (world_->backends[flow.backend].preserve_client_address || flow.reply.destination_port)
    return true;
  if (!read_port(at, seen, flow.reply))
    return false;
  take_port(flow);
  std::erase(flows_.hidden, &flow);
  return true;
}

/// The port is the flow's now, whoever had it.
void Model::take_port(Flow& flow) {
  if (auto* owner = flows_.find(flows_.by_reply, flow.reply)) {
    owner->has_reply = false;
    if (!flow.client.narrow)
      flows_.by_client.erase(owner->client);
  }
  flows_.by_reply[flow.reply] = &flow;
}

/// A new flow. The program chose its port: read from the frame that left. Nothing, or an end.
Model::End Model::open_flow(const Parsed& packet, const Outcome& seen, bool narrow, Flow*& flow) {
  std::uint16_t id = 0;
  const auto service = packet.service->id;
  if (const auto end = choose(packet, seen, narrow, id))
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
  if (world_->crowded &&
      (seen.reason == SL_REASON_NO_PORT || seen.reason == SL_REASON_FLOW_TABLE_FULL))
    return dropped(drop(seen.reason), service, id);
  if (preserve) {
    if (is_taken(reply))
      return dropped(drop(SL_REASON_NO_PORT), service, id);
  } else if (seen.reason == SL_REASON_NO_PORT) {
    return dropped(drop(seems_full(reply) ? SL_REASON_NO_PORT : SL_REASON_FLOW_TABLE_FULL), service,
                   id);
  } else if (seen.reason == SL_REASON_RATE_LIMITED) {
    reply.destination_port = 0;  // not rewritten: the flow's next packet will show its port
  } else if (!read_port(packet.l4, seen, reply)) {
    return dropped(drop(SL_REASON_NO_PORT), service, id);  // it must not have taken this one
  }
  flow = &flows_.all.emplace_back();
  flow->client = client;
  flow->reply = reply;
  flow->backend = id;
  flow->service = packet.service;
  flow->seen = flow->reply_seen = now_;
  std::ranges::copy(packet.frame.bytes.first(12), flow->way.ethernet.begin());
  flow->way.interface = packet.frame.interface;
  if (narrow)
    tracking_.active[id]++;
  flows_.by_client[client] = flow;
  if (reply.destination_port || preserve)
    take_port(*flow);
  else
    flows_.hidden.push_back(flow);
  return {};
}

/// Is there nothing to note about this packet of an established flow?
bool Model::is_plain(const Parsed& packet, const Flow& flow) {
  return flow.established && flow.seen == now_ && !packet.closes() &&
         !(packet.tcp_flags & flag_syn) && flow.way.interface == packet.frame.interface &&
         std::ranges::equal(flow.way.ethernet, packet.frame.bytes.first(12));
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
  const bool plain = flow && is_plain(packet, *flow);
  if (flow && !goes_on(packet, *flow, closed)) {
    forget(*flow);
    flow = nullptr;
  }
  if (flow && world_->crowded) {
    // It may have been forgotten: then it has another port now, or none.
    const bool refused =
        seen.reason == SL_REASON_NO_PORT || seen.reason == SL_REASON_FLOW_TABLE_FULL;
    const bool moved = seen.reason == SL_REASON_NAT && seen.bytes.size() > packet.l4 + 2 &&
                       get16(&seen.bytes[packet.l4]) != flow->reply.destination_port;
    if (refused || moved) {
      forget(*flow);
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
  if (narrow && pool.affine && flow->established && !plain)
    note_client(packet, flow->backend);
  auto answer = nat_to(packet, seen, *flow, opened, closed);
  answer.edges_unknown = world_->crowded;
  return answer;
}

Model::Answer Model::nat_to(const Parsed& packet, const Outcome& seen, Flow& flow, bool opened,
                            bool closed) {
  const auto& backend = world_->backends[flow.backend];
  const bool narrow = flow.client.narrow;
  const auto held = hold_back(packet, flow.backend);
  if (narrow || !held) {
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
  if (held)
    return not_sent(*held);
  if (!show_port(packet.l4, seen, flow))
    return dropped(drop(SL_REASON_NO_PORT), flow.service->id, flow.backend);
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

/// A reply to a flow whose own packets were held back, or an error about one, shows the port that
/// it has: `client` is how packets of that flow arrive.
void Model::reveal(Tuple tuple, Tuple client) {
  for (auto* flow : flows_.hidden) {
    tuple.narrow = client.narrow = flow->client.narrow;
    flow->reply.destination_port = tuple.destination_port;
    if (flow->reply == tuple && flow->client == client) {
      take_port(*flow);
      std::erase(flows_.hidden, flow);
      return;
    }
    flow->reply.destination_port = 0;
  }
}

/// Replies of narrow flows are noted once in an interval of four seconds, and while the flow opens,
/// and when they end it.
Model::Answer Model::nat_reply(const Parsed& packet, const Outcome& seen) {
  const auto unknown = pass(SL_REASON_UNKNOWN_REPLY);
  Tuple tuple{key_of(packet.source()), key_of(packet.destination()),
              packet.source_port,      packet.destination_port,
              packet.protocol,         true};
  Flow* flow = nullptr;
  if (seen.reason == SL_REASON_NAT_REPLY && seen.bytes.size() >= packet.l4 + 4)
    reveal(tuple,
           {key_of(destination_of(seen.bytes.subspan(packet.l3), packet.ipv6)),
            key_of(source_of(seen.bytes.subspan(packet.l3), packet.ipv6)),
            get16(&seen.bytes[packet.l4 + 2]), get16(&seen.bytes[packet.l4]), packet.protocol});
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
        const bool counted = !flow->closed();
        flow->backend_closed |= packet.closes();
        flow->client_closed |= (packet.tcp_flags & flag_rst) != 0;
        count_end(*flow, counted);
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
    return answer.reason == SL_REASON_UNRESOLVED ? answer
                                                 : dropped(answer, flow.service->id, flow.backend);
  answer.counted = Counted::reply;
  answer.service = flow.service->id;
  answer.backend = flow.backend;
  return answer;
}

}  // namespace sluice::reference
