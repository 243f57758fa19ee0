#include "headers.hpp"

namespace sluice::reference {

std::optional<Ethernet> read_ethernet(Bytes frame) {
  if (frame.size() < 14)
    return Ethernet{0, false, true};
  std::size_t type_at = 12;
  for (int tags = 0; tags < 2; tags++) {
    const auto type = get16(&frame[type_at]);
    if (type != 0x8100 && type != 0x88a8)
      break;
    if (frame.size() < type_at + 6)
      return Ethernet{0, false, true};
    type_at += 4;
  }
  const auto type = get16(&frame[type_at]);
  if (type != 0x0800 && type != 0x86dd)
    return {};
  return Ethernet{type_at + 2, type == 0x86dd};
}

Chain follow_extensions(Bytes frame, std::size_t at, std::uint8_t protocol) {
  constexpr std::uint8_t hop_by_hop = 0, routing = 43, fragment = 44, destination = 60;
  Chain chain;
  chain.protocol = protocol;
  chain.at = at;
  for (int followed = 0;; followed++) {
    if (chain.protocol != hop_by_hop && chain.protocol != routing && chain.protocol != fragment &&
        chain.protocol != destination)
      return chain;
    if (followed == 6) {
      chain.end = Chain::End::too_long;
      return chain;
    }
    if (chain.at + 8 > frame.size()) {
      chain.end = Chain::End::truncated;
      return chain;
    }
    const auto* header = &frame[chain.at];
    const auto length =
        chain.protocol == fragment ? std::size_t{8} : (header[1] + std::size_t{1}) * 8;
    if (chain.protocol == fragment) {
      const auto offset_and_more = get16(header + 2) & 0xfff9;
      if (offset_and_more)
        chain.fragment = chain.at;
      if (offset_and_more & 0xfff8) {
        chain.later = true;
        chain.protocol = header[0];
        return chain;
      }
    }
    chain.at += length;
    chain.protocol = header[0];
    if (chain.at > 247) {
      chain.end = Chain::End::too_long;
      return chain;
    }
  }
}

}  // namespace sluice::reference
