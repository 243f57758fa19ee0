#include "kernel/neighbour_policy.hpp"

#include <linux/neighbour.h>

#include <algorithm>

namespace sluice::kernel {

void NeighbourPolicy::observe(std::uint16_t state, const std::optional<MacAddress>& mac, Time now) {
  constexpr std::uint16_t usable =
      NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
  if ((state & usable) && mac) {
    mac_ = mac;
    lost_.reset();
    failed_ = false;
    retry_ = first_retry;
    // A stale entry is asked about at once, a reachable one before it goes stale.
    next_solicit_ = state & NUD_STALE ? std::min(next_solicit_, now) : now + confirm_every;
    return;
  }
  failed_ = state & NUD_FAILED;
  if (!lost_) {
    lost_ = now;
    next_solicit_ = now;
  }
}

std::optional<MacAddress> NeighbourPolicy::mac(Time now) const {
  if (!mac_ || !lost_)
    return mac_;
  if (failed_ || now - *lost_ >= grace)
    return std::nullopt;
  return mac_;
}

bool NeighbourPolicy::solicit_due(Time now) {
  if (now < next_solicit_)
    return false;
  if (lost_ || !mac_) {
    next_solicit_ = now + retry_;
    retry_ = std::min(retry_ * 2, last_retry);
  } else {
    next_solicit_ = now + confirm_every;
  }
  return true;
}

NeighbourPolicy::Time NeighbourPolicy::next_change() const {
  return lost_ && mac_ && !failed_ ? std::min(next_solicit_, *lost_ + grace) : next_solicit_;
}

}  // namespace sluice::kernel
