// What full tracking remembers by direct return, of flows and of clients that stay with a backend.
#pragma once

#include <unordered_map>

#include "nat.hpp"

namespace sluice::reference {

/// A flow of which only the client's packets are seen.
struct TrackedFlow {
  std::uint16_t backend = 0;
  std::uint32_t seen = 0;
  bool udp = false, established = false, closed = false;

  bool is_over(std::uint32_t now) const {
    return now - seen >= (udp ? 60u : closed ? 60u : established ? 3600u : 10u);
  }
};

/// Where a client's next flow goes.
struct Affinity {
  std::uint16_t backend = 0;
  std::uint32_t seen = 0;

  bool is_over(std::uint32_t now) const { return now - seen >= 10800; }
};

struct Tracking {
  std::unordered_map<Tuple, TrackedFlow, TupleHash> flows;  ///< by the client's packets
  std::unordered_map<Tuple, Affinity, TupleHash> clients;
  std::unordered_map<std::uint16_t, std::uint32_t> turns;  ///< flows that were offered, by service
  std::vector<std::uint32_t> active;                       ///< flows that count, by backend
};

/// A bucket of packets: how many seconds it takes until it is full again.
struct Bucket {
  std::uint32_t ahead = 0, since = 0;

  /// Takes up to `most` packets.
  /// @return how many there were
  std::uint32_t take(const Rate& rate, std::uint32_t most, std::uint32_t now) {
    ahead -= std::min(ahead, now - since);
    since = now;
    const auto depth = rate.burst * rate.seconds;
    ahead = std::min(ahead, depth);  // left over from a higher limit
    const auto taken = std::min((depth - ahead) / rate.seconds, most);
    ahead += taken * rate.seconds;
    return taken;
  }
};

struct Buckets {
  Bucket all;                   ///< of all services together
  std::vector<Bucket> backend;  ///< by id
  /// Packets that were taken beforehand, for the rest of that second.
  std::uint32_t allowance = 0, allowed_at = 0;
};

}  // namespace sluice::reference
