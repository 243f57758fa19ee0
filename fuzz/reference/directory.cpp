#include "directory.hpp"

#include "headers.hpp"

namespace sluice::reference {

AddressKey key_of(Bytes address) {
  AddressKey key;
  key.ipv6 = address.size() == 16;
  if (key.ipv6) {
    std::memcpy(&key.high, address.data(), 8);
    std::memcpy(&key.low, address.data() + 8, 8);
  } else {
    key.low = get32(address.data());
  }
  return key;
}

AddressKey key_of(const IpAddress& address) {
  const Bytes bytes(address.bytes());
  return key_of(address.is_v4() ? bytes.subspan(12) : bytes);
}

Directory::Directory(const World& world) : world_(world) {
  asks_ = world.deny_otherwise || !world.access.empty();
  for (const auto& service : world.services) {
    auto& address = addresses_[key_of(service.address)];
    address.kind = Kind::vip;
    address.answers_echo |= service.answers_echo;
    (service.has_one_port()   ? address.one_port
     : service.first_port > 0 ? address.ranges
                              : address.every_port)
        .push_back(&service);
  }
  for (std::size_t id = 1; id < world.backends.size(); id++) {
    const auto& backend = world.backends[id];
    if (backend.forwarding != Forwarding::nat)
      continue;
    const bool preserves = backend.preserve_client_address;
    addresses_.try_emplace(
        key_of(preserves ? backend.address : backend.from),
        Address{preserves ? Kind::preserving_backend : Kind::nat_source, false, {}, {}, {}});
  }
}

const Directory::Address& Directory::find(Bytes address) const {
  const auto found = addresses_.find(key_of(address));
  return found == addresses_.end() ? foreign_ : found->second;
}

const Service* Directory::service(const Address& address, std::uint8_t protocol,
                                  std::uint16_t port) {
  if (protocol != protocol_tcp && protocol != protocol_udp)
    return nullptr;
  const bool udp = protocol == protocol_udp;
  for (const auto* one : address.one_port)
    if (one->udp == udp && one->first_port == port)
      return one;
  for (const auto* one : address.ranges)
    if (one->udp == udp && one->first_port <= port && port <= one->last_port)
      return one;
  for (const auto* one : address.every_port)
    if (one->udp == udp)
      return one;
  return nullptr;
}

bool Directory::denies(Bytes client) const {
  const AccessEntry* best = nullptr;
  for (const auto& entry : world_.access) {
    if (entry.address.is_v4() != (client.size() == 4) || (best && best->length >= entry.length))
      continue;
    const auto* prefix = entry.address.bytes().data() + (client.size() == 4 ? 12 : 0);
    bool same = true;
    for (unsigned bit = 0; same && bit < entry.length; bit++)
      same = !((prefix[bit / 8] ^ client[bit / 8]) & 0x80 >> bit % 8);
    if (same)
      best = &entry;
  }
  return best ? best->deny : world_.deny_otherwise;
}

}  // namespace sluice::reference
