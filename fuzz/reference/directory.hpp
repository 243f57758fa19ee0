// Which addresses are ours, which service has a port, and which clients may come: searched for, not
// hashed.
#pragma once

#include <optional>
#include <unordered_map>

#include "wire.hpp"
#include "world.hpp"

namespace sluice::reference {

/// An address as it stands in a packet, 4 or 16 bytes, as a key.
struct AddressKey {
  std::uint64_t high = 0, low = 0;
  bool ipv6 = false;
  bool operator==(const AddressKey&) const = default;
};
AddressKey key_of(Bytes address);
AddressKey key_of(const IpAddress& address);
struct AddressHash {
  std::size_t operator()(const AddressKey& key) const {
    return static_cast<std::size_t>(
        (key.high * 0x9e3779b97f4a7c15 ^ key.low) * 0xff51afd7ed558ccd >> 20);
  }
};

class Directory {
 public:
  enum class Kind : std::uint8_t { foreign, vip, nat_source, preserving_backend };
  struct Address {
    Kind kind = Kind::foreign;
    bool answers_echo = false;
    std::vector<const Service*> one_port;  ///< services
    std::vector<const Service*> ranges;
    std::vector<const Service*> every_port;
  };

  /// Refers to `world`.
  explicit Directory(const World& world);

  /// What is known of a packet's address; a foreign one if nothing is.
  const Address& find(Bytes address) const;
  /// The service of an address for a protocol and port; null if there is none. One port goes before
  /// a range, a range before every port.
  static const Service* service(const Address& address, std::uint8_t protocol, std::uint16_t port);
  bool asks_for_access() const { return asks_; }
  /// Do the access lists keep this client from the VIPs?
  bool denies(Bytes client) const;

 private:
  const World& world_;
  bool asks_ = false;
  std::unordered_map<AddressKey, Address, AddressHash> addresses_;
  Address foreign_;
};

}  // namespace sluice::reference
