// The interface that plans are applied to. The XDP data plane implements it; tests may do so in
// memory.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "planner/plan.hpp"
#include "planner/programs.hpp"

namespace sluice::dataplane {

struct Count {
  std::uint64_t packets = 0, bytes = 0;
};

/// Verdict and reason by their names on the wire, e.g. {"tx", "nat"}; names in dataplane/names.hpp.
struct VerdictCount {
  std::string verdict, reason;
  Count count;
};

struct Traffic {
  std::uint64_t packets = 0, bytes = 0;              ///< from clients
  std::uint64_t reply_packets = 0, reply_bytes = 0;  ///< nat only
  std::uint64_t opened = 0, closed = 0;
  std::uint64_t dropped = 0, unresolved = 0;
  std::uint32_t active = 0;  ///< backends only: flows now, of those that are tracked in full
};

/// What was written down of flows, and what found no place.
struct TrackingCount {
  std::uint64_t looked_up = 0;  ///< packets of slots in transition
  std::uint64_t recorded = 0;   ///< flows on such slots that were written down
  std::uint64_t refused = 0;    ///< and that found no place
  std::uint64_t untracked = 0;  ///< packets of flows that are to be tracked in full and are not
};

/// What packets cost in the program on an interface, of about one in a thousand.
struct Timing {
  std::uint64_t nanoseconds = 0;  ///< of all that were timed
  /// Packets by time: the first of 0 and 1 ns, number n of 2^n ns and less than twice that, the
  /// last of all that took longer.
  std::array<std::uint64_t, 32> buckets{};
};

/// Summed over all CPUs, since the maps were made.
struct Counters {
  std::map<std::string, std::vector<VerdictCount>>
      interfaces;                        ///< attached ones, by name; only counts above zero
  std::map<std::string, Timing> timing;  ///< attached interfaces, by name
  /// Packets aborted on a CPU that has no counters: in none of the others.
  std::uint64_t uncounted = 0;
  std::map<planner::ServiceKey, Traffic> services;
  std::map<planner::BackendKey, Traffic> backends;
  TrackingCount tracking;
};

/// What BE-07 asks of the loader: packets that XDP saw, their bytes, and how many it dropped
/// (aborted ones included).
struct Totals {
  std::uint64_t drops = 0, packets = 0, bytes = 0;
};

struct Attachment {
  std::string interface;
  std::uint32_t ifindex = 0;
  model::XdpMode mode = model::XdpMode::DRV;
  planner::Program program;
  std::optional<planner::Program> previous;  ///< what a rollback puts back
  bool outdated = false;                     ///< it is not the program that this daemon brings
};

/// A program that can be put on an interface.
struct ProgramVersion {
  std::string name;     ///< `built-in`, or what its file is called by
  std::string version;  ///< what it says of itself
  std::string problem;  ///< why it does not fit this daemon; empty: it does
};

class Dataplane {
 public:
  virtual ~Dataplane() = default;
  /// What the kernel holds now.
  virtual Result<planner::Image> running() = 0;
  /// Runs the plan. On an error nothing of the plan is left behind: the data plane is as it was
  /// before.
  virtual Result<void> apply(const planner::Plan& plan) = 0;
  virtual Result<Counters> counters() = 0;
  virtual Result<std::vector<Attachment>> attachments() = 0;
  /// The program inside this daemon first, then those that the operator has laid beside it.
  virtual std::vector<ProgramVersion> versions() const = 0;
  /// Does any table have slots in transition? Cheaper than looking at what runs.
  virtual bool in_transition() const = 0;
  /// Looks at the records of flows on slots in transition, and forgets those that are of no use any
  /// more. To be called every few seconds while there are such slots: ages come round after a
  /// quarter of an hour.
  /// @param image what runs
  virtual planner::Learned sweep(const planner::Image& image) = 0;
  /// Moves the packet path's coarse clock; call once a second with the seconds of the monotonic
  /// clock.
  virtual void tick(std::uint32_t epoch) = 0;
};

}  // namespace sluice::dataplane
