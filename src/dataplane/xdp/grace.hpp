// Waiting for packets that are under way, before memory that they may still read is used again.
#pragma once

namespace sluice::dataplane::xdp {

/// Returns when no packet can still be reading what was current before the call: one grace period
/// of RCU, some ten milliseconds.
void wait_for_readers();

}  // namespace sluice::dataplane::xdp
