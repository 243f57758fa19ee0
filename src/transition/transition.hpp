// What a slot goes through when its owner changes, so that no flow of a living backend is torn: the
// control plane's side of "just enough tracking". Pure: no I/O, no clock, no model.
//
// The one thing to hold on to: of each slot's flows, only those of one backend have no record. That
// backend is the owner, or while the slot is learning the holder. Whoever is neither can be found
// only by its record, so a slot must not forget who the holder is before its flows are written
// down.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sluice::transition {

/// How a packet of the slot finds its backend.
enum class Phase : std::uint8_t {
  settled,   ///< the owner's, without a look at the records: there are none
  learning,  ///< new flows are written down for the owner, those that pass by for the holder
  pinned,    ///< a record is followed, what has none is the owner's; nothing is written down
};

/// The state of one slot of a lookup table. Backend 0 is none: a pool without a backend.
struct Slot {
  std::uint16_t owner = 0;   ///< where new flows go
  std::uint16_t holder = 0;  ///< whose flows have no record; 0 unless learning
  Phase phase = Phase::settled;
  std::uint32_t since = 0;  ///< when learning began, in seconds; 0 unless learning

  friend bool operator==(const Slot&, const Slot&) = default;
};

/// Which backends live: a byte for each id, not 0 where the backend may still be sent packets. A
/// draining backend lives. Id 0 never does, nor does an id past the end. Refers to the bytes.
class Alive {
 public:
  explicit Alive(std::span<const std::uint8_t> by_id) : by_id_(by_id) {}

  /// Whether this backend lives.
  bool operator()(std::uint16_t id) const {
    return id != 0 && id < by_id_.size() && by_id_[id] != 0;
  }

 private:
  std::span<const std::uint8_t> by_id_;
};

/// How long slots learn.
struct Window {
  std::uint32_t seconds = 300;  ///< at least; not below the idle time-out of UDP where that is used
  std::uint32_t hold = 3600;    ///< at most, whatever speaks for learning on
};

/// The slot when `owner` owns it. To be called as well when the owner stays but backends died: a
/// holder that dies is waited for no longer. It must learn of a death before packets are sent to a
/// backend of that id again. Changes nothing where nothing happened.
Slot change_owner(const Slot& slot, std::uint16_t owner, const Alive& alive, std::uint32_t now);

/// change_owner() for each slot of a table. `owners` must be of the size of `before`.
std::vector<Slot> change(std::span<const Slot> before, std::span<const std::uint16_t> owners,
                         const Alive& alive, std::uint32_t now);

/// Whether a learning slot has learned enough. Not before the window is over. From then on as soon
/// as records get scarce (`half_full`: half of their places or more are taken), because until then
/// learning on costs little and finds flows that speak rarely; but not while an insert was refused
/// within a window's time, since the flow may not have spoken again. In any case after `hold`.
bool may_pin(const Slot& slot, std::uint32_t now, const Window& window,
             std::optional<std::uint32_t> last_refused, bool half_full);

/// A learning slot, pinned: what has no record now is the owner's. Others stay as they are.
Slot pin(const Slot& slot);

/// A pinned slot, settled if a sweep that began after it was pinned left no record of a living
/// backend other than the owner. That sweep must also have deleted the slot's other records, of the
/// owner and of dead backends: nobody keeps them up to date once the slot is settled, and a later
/// change would follow them to where the flow no longer is. Other slots stay as they are.
Slot settle(const Slot& slot, std::uint32_t records_of_others);

/// Begins the window of each learning slot anew: after a restart nobody knows since when flows were
/// written down.
void restart_windows(std::span<Slot> slots, std::uint32_t now);

/// Slots by phase.
struct Summary {
  std::uint32_t settled = 0, learning = 0, pinned = 0;

  friend bool operator==(const Summary&, const Summary&) = default;
};

/// Counts the slots of a table by phase: of the running one for status, of what change() returns
/// for a preview.
Summary summarize(std::span<const Slot> slots);

}  // namespace sluice::transition
