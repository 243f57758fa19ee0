// When a neighbour counts as known: the rules, without I/O and with the time given, so that they
// can be tested.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/address.hpp"

namespace sluice::kernel {

/// One neighbour that packets are sent to. What the kernel forgets (a flushed table) or is asking
/// about keeps its last MAC for a while: the packets of that while arrive, where dropping them
/// would lose them for certain.
class NeighbourPolicy {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds grace{3};  ///< a MAC is used on after the entry was lost
  static constexpr std::chrono::seconds confirm_every{
      20};  ///< below the kernel's own base_reachable_time of 30 s
  static constexpr std::chrono::seconds first_retry{1}, last_retry{10};

  /// The kernel's entry now. @param state NUD_*; 0: there is none
  void observe(std::uint16_t state, const std::optional<MacAddress>& mac, Time now);

  /// The MAC to send to, or nothing.
  std::optional<MacAddress> mac(Time now) const;

  /// True when the kernel should be asked to resolve or confirm; counts as asked.
  bool solicit_due(Time now);

  /// The next moment at which mac() or solicit_due() may change by itself.
  Time next_change() const;

 private:
  std::optional<MacAddress> mac_;
  std::optional<Time> lost_;  ///< since when the entry does not confirm mac_
  bool failed_ = false;       ///< the kernel asked and got no answer
  Time next_solicit_{};
  std::chrono::seconds retry_ = first_retry;
};

}  // namespace sluice::kernel
