#include "model.hpp"

#include <cstdio>

namespace sluice::reference {

Model::Model(const sl_traffic* program_backends)
    : program_backends_(program_backends), records_({.buckets = std::size_t{1} << SL_RECORD_BITS,
                                                     .epoch_seconds = SL_RECORD_EPOCH,
                                                     .inserts_per_epoch = ~0u}),
      counters_(std::make_unique<Counters>()) {}

void Model::change(const World& world) {
  world_ = &world;
  directory_.emplace(world);
  alive_.assign(world.backends.size(), 0);
  for (std::size_t id = 1; id < world.backends.size(); id++)
    alive_[id] = world.backends[id].room() > 0;
  members_.assign(world.pools.size(), {});
  for (std::size_t i = 0; i < world.pools.size(); i++)
    for (const auto& slot : world.pools[i].slots)
      if (slot.owner && std::ranges::find(members_[i], slot.owner) == members_[i].end())
        members_[i].push_back(slot.owner);
}

void Model::load(const World& world) {
  change(world);
  for (const auto hash : recorded_)
    while (auto* word = records_.find(hash))
      *word = 0;
  recorded_.clear();
  datagrams_.clear();
  flows_.clear();
  ways_.clear();
  told_ = told_at_ = 0;
  tracking_.flows.clear();
  tracking_.clients.clear();
  tracking_.turns.clear();
  tracking_.active.assign(world.backends.size(), 0);
  buckets_ = {.backend = std::vector<Bucket>(world.backends.size())};
}

void Model::believe(const sl_traffic* services, const sl_traffic* backends) {
  std::memcpy(counters_->service, services, sizeof counters_->service);
  std::memcpy(counters_->backend, backends, sizeof counters_->backend);
}

bool Model::is_nat(const Service& service) const {
  const auto& backends = world_->pools[service.pool].backends;
  return !backends.empty() && world_->backends[backends[0]].forwarding == Forwarding::nat;
}

std::uint64_t Model::hash_of(const Service& service, Bytes client, std::uint16_t client_port,
                             std::uint16_t service_port) const {
  std::uint8_t bytes[4]{};
  if (!pool_of(service).affine) {  // else a client's flows are all alike
    put16(bytes, client_port);
    put16(bytes + 2, service_port);
  }
  std::uint32_t ports;
  std::memcpy(&ports, bytes, 4);
  if (client.size() == 4) {
    std::uint32_t word;
    std::memcpy(&word, client.data(), 4);
    return sl_flow_hash4(word, ports, service.seed);
  }
  std::uint64_t words[2];
  std::memcpy(words, client.data(), 16);
  return sl_flow_hash6(words[0], words[1], ports, service.seed);
}

/// What the configuration says of fragments; nothing: they are followed.
Model::End Model::judge_fragment(const Parsed& packet) const {
  if (!packet.for_vip() || world_->fragments == Fragments::pass)
    return pass(SL_REASON_FRAGMENT);
  if (world_->fragments == Fragments::drop)
    return drop(SL_REASON_FRAGMENT);
  return {};
}

Model::End Model::read_ip4(Parsed& packet) {
  const auto* ip = packet.ip.data();
  const std::size_t header = (ip[0] & 15u) * 4u;
  packet.ip_length = get16(ip + 2);
  if (ip[0] >> 4 != 4 || header < 20 || packet.ip_length < header)
    return pass(SL_REASON_MALFORMED);
  if (packet.ip_length > packet.ip.size())
    return pass(SL_REASON_TRUNCATED);
  packet.protocol = ip[9];
  packet.l4 = packet.l3 + header;
  const auto part = get16(ip + 6);
  if (part & 0x3fff) {
    if (const auto end = judge_fragment(packet))
      return end;
    packet.fragment = packet.l3;
    packet.later = part & 0x1fff;
  }
  return {};
}

Model::End Model::read_ip6(Parsed& packet) {
  const auto* ip = packet.ip.data();
  if (ip[0] >> 4 != 6)
    return pass(SL_REASON_MALFORMED);
  packet.ip_length = get16(ip + 4) + std::size_t{40};
  if (packet.ip_length > 0xffff || packet.ip_length > packet.ip.size())
    return pass(SL_REASON_TRUNCATED);
  const auto chain = follow_extensions(packet.frame.bytes, packet.l3 + 40, ip[6]);
  packet.protocol = chain.protocol;
  packet.l4 = chain.at;
  if (!packet.for_vip() && (chain.fragment || chain.end != Chain::End::found))
    return pass(SL_REASON_NOT_OURS);
  if (chain.fragment) {
    if (const auto end = judge_fragment(packet))
      return end;
    packet.fragment = chain.fragment;
    packet.later = chain.later;
  }
  if (chain.end == Chain::End::truncated)
    return pass(SL_REASON_TRUNCATED);
  if (chain.end == Chain::End::too_long)
    return drop(SL_REASON_EXTENSION_CHAIN);
  return {};
}

/// Ports, and the service that they belong to. Nothing and no service: a backend's reply, or ICMP
/// for a VIP or an address of nat.
Model::End Model::read_ports(Parsed& packet) {
  if (is_icmp(packet.protocol)) {
    const bool ours = packet.for_vip() || packet.to->kind == Directory::Kind::nat_source;
    if (ours && packet.protocol == (packet.ipv6 ? icmp6 : icmp4))
      return {};
    return pass(SL_REASON_ICMP);
  }
  if (packet.protocol != protocol_tcp && packet.protocol != protocol_udp)
    return pass(SL_REASON_OTHER_PROTOCOL);
  if (packet.l4 + (packet.protocol == protocol_tcp ? 20 : 8) > packet.l3 + packet.ip_length)
    return pass(SL_REASON_TRUNCATED);
  const auto* l4 = &packet.frame.bytes[packet.l4];
  packet.source_port = get16(l4);
  packet.destination_port = get16(l4 + 2);
  packet.tcp_flags = packet.protocol == protocol_tcp ? l4[13] : std::uint8_t{0};
  using Of = Directory::Kind;
  switch (packet.to->kind) {
  case Of::nat_source:
    if (packet.destination_port < SL_NAT_FIRST_PORT || packet.destination_port > SL_NAT_LAST_PORT)
      return pass(SL_REASON_UNKNOWN_REPLY);
    return {};
  case Of::foreign:
  case Of::preserving_backend:
    if (directory_->find(packet.source()).kind != Of::preserving_backend)
      return pass(SL_REASON_NOT_OURS);
    return {};
  case Of::vip:
    break;
  }
  packet.service = Directory::service(*packet.to, packet.protocol, packet.destination_port);
  if (!packet.service)
    return pass(SL_REASON_NO_SERVICE);
  packet.client = packet.source();
  packet.hash =
      hash_of(*packet.service, packet.client, packet.source_port, packet.destination_port);
  return {};
}

Model::Answer Model::deliver(Parsed& packet, const Outcome& seen) {
  if (is_icmp(packet.protocol))
    return icmp(packet, seen);
  if (!packet.service)
    return nat_reply(packet, seen);
  if (auto end = admit(packet, *packet.service))
    return *end;
  return is_nat(*packet.service) ? nat(packet, seen) : forward(packet, seen);
}

Model::Answer Model::answer(const Frame& frame, const Outcome& seen) {
  Parsed packet;
  packet.frame = frame;
  const auto ethernet = read_ethernet(frame.bytes);
  if (!ethernet)
    return pass(SL_REASON_NOT_IP);
  if (ethernet->truncated)
    return pass(SL_REASON_TRUNCATED);
  packet.l3 = ethernet->l3;
  packet.ipv6 = ethernet->ipv6;
  packet.ip = frame.bytes.subspan(packet.l3);
  if (packet.ip.size() < (packet.ipv6 ? 40 : 20))
    return pass(SL_REASON_TRUNCATED);
  packet.to = &directory_->find(packet.destination());
  if (packet.to->kind == Directory::Kind::foreign &&
      directory_->find(packet.source()).kind != Directory::Kind::preserving_backend)
    return pass(SL_REASON_NOT_OURS);
  if (packet.for_vip() && directory_->asks_for_access() && directory_->denies(packet.source()))
    return drop(SL_REASON_DENIED);
  End end = packet.ipv6 ? read_ip6(packet) : read_ip4(packet);
  if (packet.later)
    return later_fragment(packet);
  if (!end)
    end = read_ports(packet);
  if (packet.fragment)
    return first_fragment(packet, seen, end);
  return end ? *end : deliver(packet, seen);
}

Outcome Model::expected() const {
  return {answer_.action, answer_.reason, answer_.changed ? Bytes(out_.data(), out_size_) : frame_};
}

std::string Model::compare(const Frame& frame, const Outcome& seen) const {
  const auto name = [](Action action, sl_reason reason) {
    static constexpr const char* names[] = {"aborted", "drop", "pass", "tx", "redirect"};
    const auto at = static_cast<std::size_t>(action);
    return std::string(at < 5 ? names[at] : "no action") + " reason " + std::to_string(reason);
  };
  if (seen.action != answer_.action || seen.reason != answer_.reason)
    return name(seen.action, seen.reason) + ", expected " + name(answer_.action, answer_.reason);
  if (seen.action == Action::drop || seen.action == Action::aborted)
    return {};
  if (seen.action == Action::pass && seen.reason == SL_REASON_RATE_LIMITED)
    if (auto complaint = compare_mark(seen); !complaint.empty())
      return complaint;
  const Bytes bytes = answer_.changed ? Bytes(out_.data(), out_size_) : frame.bytes;
  if (bytes.size() != seen.bytes.size())
    return std::to_string(seen.bytes.size()) + " bytes, expected " + std::to_string(bytes.size());
  if (std::memcmp(bytes.data(), seen.bytes.data(), bytes.size()) == 0)
    return {};
  const auto at = std::ranges::mismatch(bytes, seen.bytes).in1 - bytes.begin();
  char text[80];
  std::snprintf(text, sizeof text, "byte %td is %02x, expected %02x", at,
                seen.bytes[static_cast<std::size_t>(at)], bytes[static_cast<std::size_t>(at)]);
  return text;
}

void Model::count(const Frame& frame) {
  const auto bytes = frame.bytes.size();
  auto& verdict =
      counters_->verdict[frame.interface][static_cast<std::size_t>(answer_.action)][answer_.reason];
  verdict.packets++;
  verdict.bytes += bytes;
  if (answer_.counted == Counted::nothing)
    return;
  sl_traffic* both[] = {&counters_->service[answer_.service], &counters_->backend[answer_.backend]};
  for (auto* traffic : both) {
    if (answer_.counted == Counted::dropped) {
      if (traffic == both[1] && !answer_.backend)
        continue;
      traffic->dropped++;
      traffic->unresolved += answer_.reason == SL_REASON_UNRESOLVED;
      continue;
    }
    if (answer_.counted == Counted::reply) {
      traffic->reply_packets++;
      traffic->reply_bytes += bytes;
      continue;
    }
    traffic->packets++;
    traffic->bytes += bytes;
  }
}

std::string Model::judge(const Frame& frame, const Outcome& seen) {
  frame_ = frame.bytes;
  answer_ = answer(frame, seen);
  for_a_service_ += answer_.service != 0;
  count(frame);
  if (!answer_.opened && !answer_.closed)
    return compare(frame, seen);
  if (!answer_.edge_of)
    answer_.edge_of = answer_.backend;
  for (auto* traffic :
       {&counters_->service[answer_.service], &counters_->backend[answer_.edge_of]}) {
    traffic->opened += answer_.opened;
    traffic->closed += answer_.closed;
  }
  return compare(frame, seen);
}

}  // namespace sluice::reference
