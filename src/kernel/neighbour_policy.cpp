#include "kernel/neighbour_policy.hpp"

#include <algorithm>

namespace sluice::kernel {

namespace {

constexpr std::uint16_t undoubted = NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP;
constexpr std::uint16_t usable = undoubted | NUD_STALE | NUD_DELAY | NUD_PROBE;

}  // namespace

void NeighbourPolicy::see(const std::optional<NeighbourEntry>& entry, Time now) {
  const auto before = state_;
  state_ = entry ? entry->state : std::uint16_t{NUD_NONE};
  if (entry && entry->mac && (state_ & usable) != 0) {
    vouched(*entry, now);
    return;
  }
  // The kernel fails an entry after asking in vain, and also for a moment while it deletes one.
  const bool asked = before == NUD_PROBE || before == NUD_INCOMPLETE;
  if (state_ == NUD_FAILED && asked) {
    give_up(now);
    // A probe asks only the old MAC; a solicitation finds the neighbour behind a new one.
    if (before == NUD_PROBE)
      solicit_by(now);
  } else if (state_ == NUD_FAILED && phase_ == Phase::silent) {
    solicit_by(now + pause_);
  } else {
    missing(now);
  }
}

void NeighbourPolicy::vouched(const NeighbourEntry& entry, Time now) {
  phase_ = Phase::known;
  mac_ = entry.mac;
  unvouched_since_.reset();
  pause_ = first_pause;
  if ((entry.state & undoubted) != 0)
    solicit_at_.reset();
  else
    // Delay and probe are the kernel's own way back to reachable; it needs no prompting for a
    // while.
    solicit_by(entry.state == NUD_STALE ? now : now + longest_pause);
}

void NeighbourPolicy::missing(Time now) {
  const bool news = !unvouched_since_;
  if (news)
    unvouched_since_ = now;
  // Only the first loss is answered at once: a table that is too full throws out every new entry.
  solicit_by(news && state_ != NUD_INCOMPLETE ? now : now + pause_);
}

void NeighbourPolicy::give_up(Time now) {
  if (phase_ != Phase::silent)
    pause_ = first_pause;
  phase_ = Phase::silent;
  mac_.reset();
  solicit_by(now + pause_);
}

void NeighbourPolicy::solicit_by(Time when) {
  solicit_at_ = solicit_at_ ? std::min(*solicit_at_, when) : when;
}

bool NeighbourPolicy::advance(Time now) {
  if (phase_ != Phase::silent && unvouched_since_ && now - *unvouched_since_ >= grace)
    give_up(now);
  if (!solicit_at_ || now < *solicit_at_)
    return false;
  if (phase_ == Phase::known && !unvouched_since_) {
    solicit_at_ = now + longest_pause;
    return true;
  }
  // The kernel does not tell that it has begun to ask.
  state_ = NUD_INCOMPLETE;
  solicit_at_ = now + pause_;
  pause_ = std::min(pause_ * 2, longest_pause);
  return true;
}

}  // namespace sluice::kernel
