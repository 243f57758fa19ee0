// What nat remembers of its flows: who talks to whom, and how far they have come.
#pragma once

#include <deque>
#include <unordered_map>

#include "directory.hpp"

namespace sluice::reference {

/// Addresses and ports with which packets of one direction arrive.
struct Tuple {
  AddressKey source, destination;
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint8_t protocol = 0;
  bool narrow = false;  ///< which of the two kinds of flows; they do not know of each other
  bool operator==(const Tuple&) const = default;
};
struct TupleHash {
  std::size_t operator()(const Tuple& tuple) const {
    const auto ports = std::uint64_t{tuple.source_port} << 24 |
                       std::uint64_t{tuple.destination_port} << 8 | tuple.protocol;
    std::uint64_t h = AddressHash()(tuple.source) * 31 + AddressHash()(tuple.destination);
    h = (h ^ ports) * 0x9e3779b97f4a7c15;
    return static_cast<std::size_t>(h ^ h >> 29);
  }
};

/// The address as it stands in a packet; of IPv4 the first four.
inline std::array<std::uint8_t, 16> bytes_of(const AddressKey& key) {
  std::array<std::uint8_t, 16> bytes{};
  if (key.ipv6) {
    std::memcpy(bytes.data(), &key.high, 8);
    std::memcpy(bytes.data() + 8, &key.low, 8);
  } else {
    put32(bytes.data(), static_cast<std::uint32_t>(key.low));
  }
  return bytes;
}

/// How a router's frames come: both MAC addresses, and the interface.
struct Way {
  std::array<std::uint8_t, 12> ethernet{};
  unsigned interface = 0;
  auto operator<=>(const Way&) const = default;
};

struct Flow {
  Tuple client, reply;  ///< as its packets arrive
  std::uint16_t backend = 0;
  const Service* service = nullptr;
  Way way;                       ///< of the client's last packet
  std::uint32_t seen = 0;        ///< when the client spoke last; narrow: or the backend
  std::uint32_t reply_seen = 0;  ///< when the backend did, or the client; narrow: as noted
  bool answered = false, established = false;
  bool client_closed = false, backend_closed = false;
  bool has_reply = true;       ///< narrow: false once its port was given to another
  bool reply_noted = false;    ///< narrow: replies are noted once in an interval
  std::uint32_t interval = 0;  ///< narrow: that of the last note
  bool udp() const { return client.protocol == 17; }
  bool closed() const { return client_closed && backend_closed; }
};

/// Flows by what arrives.
struct Flows {
  std::deque<Flow> all;
  std::unordered_map<Tuple, Flow*, TupleHash> by_client, by_reply;
  std::vector<Flow*> hidden;  ///< no packet has left yet that shows which port they have
  void clear() {
    all.clear();
    by_client.clear();
    by_reply.clear();
    hidden.clear();
  }
  Flow* find(const std::unordered_map<Tuple, Flow*, TupleHash>& by, const Tuple& tuple) const {
    const auto found = by.find(tuple);
    return found == by.end() ? nullptr : found->second;
  }
  /// Both directions, as far as they are still this flow's.
  void forget(Flow& flow) {
    by_client.erase(flow.client);
    if (flow.has_reply)
      by_reply.erase(flow.reply);
    std::erase(hidden, &flow);
    flow.has_reply = false;
  }
};

}  // namespace sluice::reference
