// Full tracking by direct return: every flow has a backend of its own, until it was closed or
// silent for long enough. Only the client's packets are seen.
#include "model.hpp"

namespace sluice::reference {

Tuple Model::tracked_key(const Parsed& packet) {
  return {.source = key_of(packet.client),
          .destination = {.low = packet.service->id},
          .source_port = packet.source_port,
          .destination_port = packet.destination_port};
}

/// Does this packet belong to the flow that its addresses and ports were used for last?
bool Model::is_of(const Parsed& packet, const TrackedFlow& flow) const {
  const auto& backend = world_->backends[flow.backend];
  if (!backend.enabled || flow.is_over(now_) || (packet.opens() && flow.closed))
    return false;
  return backend.resolved || !(packet.opens() || flow.udp);  // what begins anew goes where it can
}

Model::End Model::track(const Parsed& packet, const Outcome& seen, Placed& placed) {
  const auto key = tracked_key(packet);
  const bool affine = pool_of(*packet.service).affine;
  auto& flows = tracking_.flows;
  auto found = flows.find(key);
  if (is_icmp(packet.protocol)) {  // about a flow, but anyone may have sent it
    placed.id = found == flows.end() ? owner(packet) : found->second.backend;
    return {};
  }
  const bool edge = packet.closes() || packet.tcp_flags & flag_syn;
  if (found != flows.end() && !is_of(packet, found->second)) {
    tracking_.active[found->second.backend] -= !found->second.closed;
    flows.erase(found);
    found = flows.end();
  }
  if (found != flows.end()) {
    auto& flow = found->second;
    placed.id = flow.backend;
    if (flow.established && flow.seen == now_ && !edge && alive_[flow.backend])
      return {};
    flow.seen = now_;
    if (packet.closes() && !flow.closed) {
      flow.closed = placed.closed = true;
      tracking_.active[flow.backend]--;
    }
    if (!(packet.tcp_flags & flag_syn))
      flow.established = true;
    if (affine && flow.established)
      note_client(packet, flow.backend);
    return {};
  }
  const bool opens = packet.protocol == protocol_udp || packet.opens();
  if (opens) {
    if (auto end = choose(packet, seen, true, placed.id))
      return end;
  } else {
    placed.id = owner(packet);  // whoever knows nothing of it sent it there
  }
  if (!alive_[placed.id] || (!opens && packet.closes()))
    return {};
  placed.opened = opens;
  flows[key] = {.backend = placed.id, .seen = now_, .udp = packet.protocol == protocol_udp};
  tracking_.active[placed.id]++;
  return {};
}

}  // namespace sluice::reference
