// Who gets a new flow of a pool whose flows are remembered: its hash's slot (Maglev), whose turn it
// is, or who has the fewest; a client that stays goes where it was; and nobody gets more than he
// may have.
#include "model.hpp"

namespace sluice::reference {

namespace {
constexpr std::size_t few = 16;  ///< backends that are all looked at
constexpr int offers = 4;        ///< by turns, before whoever may have it gets the flow
constexpr int offers_of_many = 20;
}  // namespace

std::uint16_t Model::owner(const Parsed& packet) const {
  const auto& pool = pool_of(*packet.service);
  if (pool.lost || pool.slots.empty())
    return 0;
  return pool.slots[slot_of(packet.hash, pool.slots.size())].owner;
}

bool Model::has_room(std::uint16_t id) const {
  const auto most = world_->backends[id].max_connections;
  return most == 0 || tracking_.active[id] < most;
}

std::uint16_t Model::next_in_turn(const Service& service) {
  const auto& slots = pool_of(service).slots;
  const auto turn = tracking_.turns[service.id]++;
  return slots.empty() ? std::uint16_t{0} : slots[turn % slots.size()].owner;
}

/// Of those that may have the flow, the one whose counters moved.
std::uint16_t Model::observed(const std::vector<std::uint16_t>& may) const {
  if (may.size() > 1)
    for (const auto id : may)
      if (std::memcmp(&program_backends_[id], &counters_->backend[id], sizeof(sl_traffic)))
        return id;
  return may.front();
}

Tuple Model::client_of(const Parsed& packet) {
  return {.source = key_of(packet.client), .source_port = packet.service->id};
}

/// The client's backend, if it can have another flow; 0: none.
std::uint16_t Model::backend_of_client(const Parsed& packet) const {
  const auto found = tracking_.clients.find(client_of(packet));
  if (found == tracking_.clients.end() || found->second.is_over(now_))
    return 0;
  const auto id = found->second.backend;
  return alive_[id] && world_->backends[id].weight && has_room(id) ? id : std::uint16_t{0};
}

/// A client whose flow goes on is noted.
void Model::note_client(const Parsed& packet, std::uint16_t backend) {
  tracking_.clients[client_of(packet)] = {backend, now_};
}

/// Those that have the fewest flows for their weights, the next one counted.
void Model::keep_least_loaded(std::vector<std::uint16_t>& may) const {
  const auto less = [&](std::uint16_t a, std::uint16_t b) {
    return std::uint64_t{tracking_.active[a] + 1} * world_->backends[b].weight <
           std::uint64_t{tracking_.active[b] + 1} * world_->backends[a].weight;
  };
  const auto least = *std::ranges::min_element(may, less);
  std::erase_if(may, [&](std::uint16_t id) { return less(least, id); });
}

/// Nothing and the backend, which may be one that nothing can be sent to; or an end. `counts`: its
/// flows count for their backends.
Model::End Model::choose(const Parsed& packet, const Outcome& seen, bool counts,
                         std::uint16_t& id) {
  const auto& pool = pool_of(*packet.service);
  id = 0;
  if (pool.lost)
    return Answer{.reason = SL_REASON_TABLE_BOUND};
  if ((id = named(packet)))
    return {};
  const bool by_turns = pool.algorithm == Algorithm::round_robin;
  if (!counts) {
    id = by_turns ? next_in_turn(*packet.service) : owner(packet);
    return {};
  }
  if (pool.affine && (id = backend_of_client(packet)) != 0)
    return {};
  const auto& members = members_[packet.service->pool];
  const bool many = members.size() > few, others = !many && !members.empty();
  if (pool.algorithm == Algorithm::maglev) {
    id = owner(packet);
    if (has_room(id))
      return {};
  }
  for (int n = 0; by_turns && n < (others ? offers : offers_of_many); n++) {
    id = next_in_turn(*packet.service);
    if (alive_[id] && has_room(id))
      return {};
  }
  const bool none_lives =
      std::ranges::none_of(members, [&](std::uint16_t one) { return alive_[one] != 0; });
  auto& may = may_;
  may = members;
  std::erase_if(may, [&](std::uint16_t one) { return !alive_[one] || !has_room(one); });
  const bool someone_is_full =
      std::ranges::any_of(members, [&](std::uint16_t one) { return !has_room(one); });
  const auto refused = drop(SL_REASON_CONNECTION_LIMIT);
  if (may.empty()) {
    id = 0;
    if (members.empty())
      return {};
    if (!none_lives || pool.algorithm == Algorithm::maglev ||
        (someone_is_full && seen.reason == refused.reason))
      return refused;
    id = observed(members);
    return {};
  }
  if (many && someone_is_full && seen.reason == refused.reason) {
    id = 0;
    return refused;  // of so many not all are asked
  }
  if (pool.algorithm == Algorithm::least_connections && !many)
    keep_least_loaded(may);
  id = observed(may);
  return {};
}

}  // namespace sluice::reference
