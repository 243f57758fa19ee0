// The plan: what must be done to the data plane so that it becomes what the configuration says. A
// pure function makes it; preview shows it, apply runs it, rollback is a plan towards an older
// configuration.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "planner/image.hpp"

namespace sluice::planner {

/// Comes first: of all steps the kernel refuses this one most often, and until then packets have
/// seen nothing. An attachment of the same name in another mode is replaced.
struct Attach {
  std::string interface;
  InterfaceImage image;
};
/// Has the kernel give packets that pass beyond a limit their mark, on an attached interface.
struct StartMarking {
  std::string interface;
};
/// Writes or rewrites one entry of `backend_pool` and its label.
struct PutBackend {
  BackendKey key;
  BackendImage backend;
};
/// Fills a free range of the arena. Nothing reads it until SwapFront.
struct FillTable {
  std::string pool;
  TableImage table;
};
/// Writes in place what phase the slots of a table are in, whose owners stay, and how it is to be
/// used from SwapFront on. Every word is right by itself, before and after: packets may be between
/// two.
struct MarkSlots {
  std::string pool;
  TableImage table;
};
/// Fills the access list that is not in use. Nobody is judged by it until SwapFront.
struct FillAccessList {
  AccessImage access;
  std::vector<AccessEntry> entries;
};
/// Builds the idle front from all services and flips `active`: from here on packets see the new
/// world.
struct SwapFront {
  std::map<ServiceKey, ServiceImage> services;
  model::Fragments fragments = model::Fragments::pass;
  AccessImage access = {};
  IdleImage idle = {};
  LimitImage limit = {};
};
/// Drops what is remembered of flows that the pool's table no longer leads to: from here on every
/// packet follows it.
struct ForgetFlows {
  std::string pool;
};
/// Puts this daemon's program on an interface that one of another layout of maps holds, by an
/// update of its link: a packet meets the old tables or the new ones, which are complete by now.
struct TakeOver {
  std::string interface;
  InterfaceImage image;
  std::uint32_t layout = 0;  ///< that it has had
};
/// Frees a range that no service points to any more (after a grace period).
struct ForgetTable {
  std::string pool;
  std::uint32_t base;
  std::uint32_t slots;
};
/// Zeroes an entry that no slot names any more (after a grace period).
struct RemoveBackend {
  BackendKey key;
  std::uint16_t id;
};
/// No packet is marked any more by then.
struct StopMarking {
  std::string interface;
};
/// Takes marking off as well.
struct Detach {
  std::string interface;
};
/// Puts another program on an interface by an update of its link: a packet meets the one or the
/// other, and both work on the same maps.
struct ReplaceProgram {
  std::string interface;
  std::string name;     ///< of a version that the data plane has; empty: what was there before
  std::string version;  ///< what that program says of itself
};
/// Puts the program that runs on an interface into the variant that its MTU asks for, as
/// ReplaceProgram does it. One that the driver refuses is left as it is.
struct FitProgram {
  std::string interface;
  std::uint32_t mtu = 0;
  bool jumbo = false;  ///< what InterfaceImage::jumbo becomes
};
/// In the order in which a plan has them.
using Step = std::variant<Attach, StartMarking, PutBackend, FillTable, MarkSlots, FillAccessList,
                          SwapFront, TakeOver, ForgetFlows, ForgetTable, RemoveBackend, StopMarking,
                          Detach, ReplaceProgram, FitProgram>;

/// How many slots of a pool's table change hands.
struct PoolEffect {
  std::string pool;
  std::uint32_t slots = 0;        ///< of the new table; 0: the pool goes, or has no backend
  std::uint32_t moved = 0;        ///< slots whose owner differs, or all when the size changes
  std::uint32_t unavoidable = 0;  ///< of these: slots of backends that leave
  std::uint32_t learning = 0;     ///< slots whose old flows stay while new ones move
};

/// A thing that the operator should know, that does not stop the plan.
struct Warning {
  std::string pointer;  ///< into the configuration
  std::string message;
  std::string suggestion;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<PoolEffect> effects;
  std::vector<Warning> warnings;
  Image after;  ///< what the data plane holds when all steps are done
  bool empty() const { return steps.empty(); }
};

/// What the data plane knows of flows on slots in transition: one look at all records.
struct Learned {
  /// By pool and slot: records of living backends other than the slot's owner.
  std::map<std::string, std::vector<std::uint32_t>> of_others;
  std::optional<std::uint32_t> last_refused;  ///< epoch in which a record found no place
  bool half_full = false;                     ///< half of the places or more are taken
};

struct PlanOptions {
  /// An interface of the configuration that does not exist is a warning and is left out, instead of
  /// an error: for a configuration that was accepted when the interface was still there.
  bool tolerate_missing_interfaces = false;
  std::uint32_t now = 0;  ///< seconds of the monotonic clock, for slots in transition
  /// Given: slots that have learned enough are pinned, and settled when nothing is left of others.
  const Learned* learned = nullptr;
};

/// Makes the plan that leads from `running` to `wanted` on a machine that looks like `topology`.
/// `wanted` must be valid (model::validate). Backends and services keep their ids, unchanged tables
/// keep their range. Backends that are disabled are in no table; a backend that is not resolved is
/// in no table unless its pool has no resolved one, and gives a warning. Errors: Code::full when
/// ids or arena are exhausted, Code::invalid with a pointer when an interface of the configuration
/// does not exist.
Result<Plan> make_plan(const Image& running, const model::Config& wanted,
                       const model::Topology& topology, const PlanOptions& options = {});

/// One line for people: "fill 65537 slots of pool web".
std::string describe(const Step& step);

}  // namespace sluice::planner
