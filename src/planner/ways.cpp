// Decides how frames reach a backend and what address they come from.
#include "planner/ways.hpp"

#include "model/prefix.hpp"

namespace sluice::planner {

Ways::Ways(const model::Config& config, const model::Topology& topology)
    : config_(config), topology_(topology) {
  for (const auto& service : config.services)
    vips_.insert(service.address);
  for (const auto& [name, link] : topology.links)
    local_.insert(link.addresses.begin(), link.addresses.end());
}

std::optional<Obstacle> Ways::resolve(const BackendKey& key, BackendImage& entry) const {
  auto found = obstacle(key, entry);
  if (!found) {
    const auto& hop = topology_.next_hops.at(key.address);
    entry.ifindex = hop.ifindex;
    entry.source_mac = hop.source;
    entry.destination_mac = hop.destination;
    entry.mtu = hop.mtu;
    entry.resolved = true;
    if (set_source(key, hop, entry))
      return std::nullopt;
    const std::string family = key.address.is_v4() ? "IPv4" : "IPv6";
    found = Obstacle{
        hop.interface + " has no " + family + " address to send from that is no VIP",
        "give " + hop.interface + " an " + family + " address" +
            (entry.forwarding == model::Forwarding::nat
                 ? ", or set /nat/sourceAddresses"
                 : std::string(", or set /xdp/encapSource") + (key.address.is_v4() ? "" : "6"))};
  }
  entry.ifindex = 0;
  entry.source_mac = entry.destination_mac = {};
  entry.mtu = 0;
  entry.resolved = false;
  entry.source = {};
  entry.source_varying_bits = 0;
  return found;
}

void Ways::keep_source(const BackendImage& running, BackendImage& entry) const {
  if (running.forwarding != entry.forwarding ||
      running.preserve_client_address != entry.preserve_client_address ||
      vips_.contains(running.source))
    return;
  entry.source = running.source;
  entry.source_varying_bits = running.source_varying_bits;
}

std::optional<Obstacle> Ways::obstacle(const BackendKey& key, const BackendImage& entry) const {
  if (local_.contains(key.address))
    return Obstacle{"it is an address of this machine",
                    "name a backend on another machine; XDP cannot deliver to its own"};
  const auto found = topology_.next_hops.find(key.address);
  if (found == topology_.next_hops.end())
    return Obstacle{"its route was not looked up", "it is taken up with the next look"};
  const auto& hop = found->second;
  const auto link = topology_.links.find(hop.interface);
  if (link != topology_.links.end() && link->second.loopback)
    return Obstacle{"its route leads to " + hop.interface + ", the loopback interface",
                    "add a route that leads to another machine"};
  // The router would send a packet for the VIP back here, again and again.
  if (entry.forwarding == model::Forwarding::dsr_l2 && hop.resolved && hop.via != key.address)
    return Obstacle{"dsr-l2 reaches only backends on the same link, it is behind " +
                        hop.via.to_string(),
                    "use dsr-ipip or nat for its pool"};
  if (!hop.resolved)
    return Obstacle{hop.problem.empty() ? "its next hop is not known" : hop.problem,
                    "it is outside the lookup table until that changes"};
  return std::nullopt;
}

bool Ways::set_source(const BackendKey& key, const model::NextHop& hop, BackendImage& entry) const {
  const bool v4 = key.address.is_v4();
  if (entry.forwarding == model::Forwarding::dsr_l2 || entry.preserve_client_address)
    return true;
  if (entry.forwarding == model::Forwarding::nat) {
    for (const auto& source : config_.nat.sourceAddresses)
      if (source.is_v4() == v4)
        entry.source = source;
  } else if (const auto& text = v4 ? config_.xdp.encapSource : config_.xdp.encapSource6) {
    if (const auto prefix = model::parse_prefix(*text)) {
      entry.source = prefix->address;
      entry.source_varying_bits = 16;
    }
  }
  if (entry.source == IpAddress())
    entry.source = own_address(hop, v4);
  return entry.source != IpAddress();
}

IpAddress Ways::own_address(const model::NextHop& hop, bool v4) const {
  const auto usable = [&](const IpAddress& address) {
    return address.is_v4() == v4 && !address.is_unspecified() && !vips_.contains(address);
  };
  if (usable(hop.preferred_source))
    return hop.preferred_source;
  if (const auto link = topology_.links.find(hop.interface); link != topology_.links.end())
    for (const auto& address : link->second.addresses)
      if (usable(address) && !address.is_link_local())
        return address;
  return {};
}

}  // namespace sluice::planner
