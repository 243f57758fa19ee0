// When a neighbour's MAC may be used and when the kernel is asked to find it out again. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/address.hpp"
#include "kernel/rtnetlink.hpp"

namespace sluice::kernel {

/// Follows one entry of the kernel's neighbour table.
///
/// The packet path uses MACs without the kernel noticing, so entries go stale and are thrown away
/// while traffic flows. A stale entry keeps its MAC and is confirmed anew; a MAC whose entry is
/// gone is kept for a grace while it is found out again; one that the kernel asked for in vain is
/// given up.
class NeighbourPolicy {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  /// How long a MAC is used that the kernel no longer vouches for.
  static constexpr std::chrono::seconds grace{3};
  /// Pauses between solicitations of one that does not answer; they double from first to longest.
  static constexpr std::chrono::seconds first_pause{1}, longest_pause{10};

  enum class Phase {
    waiting,  ///< never known; asked for
    known,    ///< mac() may be used
    silent,   ///< does not answer
  };

  /// Takes in what the kernel's table says; nothing: it has no entry.
  void see(const std::optional<NeighbourEntry>& entry, Time now);

  /// Lets time pass; true if the caller is to send a solicitation now.
  bool advance(Time now);

  Phase phase() const { return phase_; }
  /// Present exactly in phase `known`.
  const std::optional<MacAddress>& mac() const { return mac_; }

 private:
  void vouched(const NeighbourEntry& entry, Time now);
  void missing(Time now);
  void give_up(Time now);
  void solicit_by(Time when);

  Phase phase_ = Phase::waiting;
  std::optional<MacAddress> mac_;
  std::uint16_t state_ = NUD_NONE;       ///< seen last
  std::optional<Time> unvouched_since_;  ///< since when the kernel has no MAC
  std::optional<Time> solicit_at_;       ///< none: the kernel needs no prompting
  std::chrono::seconds pause_ = first_pause;
};

}  // namespace sluice::kernel
