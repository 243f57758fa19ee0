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
struct Detach {
  std::string interface;
};
/// In the order in which a plan has them.
using Step = std::variant<Attach, PutBackend, FillTable, FillAccessList, SwapFront, ForgetTable,
                          RemoveBackend, Detach>;

/// How many slots of a pool's table change hands.
struct PoolEffect {
  std::string pool;
  std::uint32_t slots = 0;        ///< of the new table; 0: the pool goes, or has no backend
  std::uint32_t moved = 0;        ///< slots whose owner differs, or all when the size changes
  std::uint32_t unavoidable = 0;  ///< of these: slots of backends that leave
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

struct PlanOptions {
  /// An interface of the configuration that does not exist is a warning and is left out, instead of
  /// an error: for a configuration that was accepted when the interface was still there.
  bool tolerate_missing_interfaces = false;
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
