// Owns the wanted configuration and brings the data plane to it: every change is validated,
// planned, applied, stored.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "dataplane/dataplane.hpp"
#include "kernel/next_hops.hpp"
#include "model/config.hpp"
#include "planner/plan.hpp"
#include "store/store.hpp"

namespace sluice::control {

/// Makes the new configuration from the current one, or says why it cannot.
using Edit = std::function<Result<model::Config>(const model::Config&)>;

struct ChangeOptions {
  std::optional<std::uint64_t>
      if_match;          ///< the generation that the caller saw; another one running is Code::stale
  bool dry_run = false;  ///< plan only; nothing changes
  std::string actor = "system";  ///< who, for the history
  std::string reason;            ///< why, for the history
};

/// The outcome of a change. For a dry run `generation` is the running one.
struct Change {
  std::uint64_t generation = 0;
  bool applied = false;
  planner::Plan plan;
};

/// How an interface of the configuration fares.
struct InterfaceState {
  std::string name;
  model::XdpMode mode = model::XdpMode::DRV;
  bool attached = false;
  planner::Program program;
  bool outdated = false;  ///< the program is not the one that this daemon brings
  std::string problem;    ///< why it is not attached
};

/// Which programs there are, and which are on interfaces.
struct ProgramsState {
  std::vector<dataplane::ProgramVersion> versions;
  std::vector<dataplane::Attachment> attachments;
};

struct State {
  std::uint64_t generation = 0;
  std::chrono::system_clock::time_point started;  ///< of this daemon
  bool adopted = false;  ///< a running data plane was found at the start and taken over
  std::string drift;     ///< why the data plane is not what the configuration wants; empty: it is
  std::vector<InterfaceState> interfaces;
  planner::Image image;
  model::Topology topology;
};

/// Not thread-safe: every call comes from the control strand.
class Controller {
 public:
  Controller(dataplane::Dataplane& dataplane, store::Store& store, kernel::NextHops& next_hops);

  /// Adopts what the kernel holds, loads the newest generation from the store (an empty
  /// configuration if there is none) and converges towards it. A fault in converging is kept in
  /// `state().drift`, not returned: the daemon runs.
  Result<void> start();

  const model::Config& config() const { return config_; }
  std::uint64_t generation() const { return generation_; }

  /// Validates and plans the edited configuration; unless it is a dry run, applies and stores it as
  /// a new generation. Whole or not at all: on an error the data plane and the stored configuration
  /// are as before. An edit that changes nothing makes no generation.
  Result<Change> change(const Edit& edit, const ChangeOptions& options);

  Result<ProgramsState> programs();
  /// Puts a version of the program on one interface, or on all that are attached, in place. The
  /// configuration and its generation stay: which version runs is not part of it. Errors:
  /// Code::not_found for an interface or version that there is not, Code::unsupported for a version
  /// that does not fit the maps; nothing has changed then.
  Result<Change> reload_programs(const std::optional<std::string>& interface,
                                 const std::string& version, const ChangeOptions& options);
  /// Puts the program before back, on one interface or on all that have one.
  Result<Change> roll_back_programs(const std::optional<std::string>& interface,
                                    const ChangeOptions& options);

  /// The plan from what runs to the configuration as it stands: empty when nothing drifts.
  Result<planner::Plan> pending();

  Result<dataplane::Counters> counters() { return dataplane_.counters(); }
  Result<State> state();

  /// The machine as a new configuration is checked against it.
  Result<model::Topology> topology();

  /// Follows the kernel: new routes, neighbours and links are looked at and planned for. Call about
  /// once a second and whenever the kernel room has events.
  void tick();

 private:
  /// The machine with the ways to all backends of the running and of the wanted configuration.
  Result<model::Topology> look(const model::Config& wanted, std::chrono::milliseconds patience);
  Result<planner::Plan> plan_towards(const model::Config& wanted, const model::Topology& topology);
  Result<void> check_generation(const ChangeOptions& options) const;
  using PlanPrograms = std::function<Result<planner::Plan>(const planner::Image&,
                                                           const planner::ProgramsByInterface&)>;
  /// Makes and runs a plan that replaces programs, and says of each what is there now.
  Result<Change> replace(const PlanPrograms& make, const ChangeOptions& options);
  Result<planner::ProgramsByInterface> programs_by_interface();
  void say_what_is_outdated();
  /// Gives each interface whose MTU has changed the variant of its program that this asks for.
  Result<void> fit_programs(const model::Topology& topology);
  /// The part of change() after the edit.
  Result<Change> attempt(model::Config wanted, const ChangeOptions& options,
                         std::chrono::milliseconds patience);
  /// Brings the data plane back to the running configuration; a failure becomes `drift_`.
  void heal(const model::Topology& topology);
  /// Everything but what must be attached anew, then each attachment for itself: one interface that
  /// refuses must not keep the others from balancing.
  Result<void> converge(const model::Topology& topology);
  /// Ends what is over of the transitions that changes of tables began.
  void advance_transitions();
  /// Plans towards a configuration on the machine as it is now, applies, and says each step.
  Result<void> follow(const model::Config& wanted, const model::Topology& topology);

  dataplane::Dataplane& dataplane_;
  store::Store& store_;
  kernel::NextHops& next_hops_;
  model::Config config_;
  std::uint64_t generation_ = 0;
  std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  bool adopted_ = false;
  std::string drift_;
  std::chrono::steady_clock::time_point retry_at_{};
  std::chrono::steady_clock::time_point sweep_at_{};
};

}  // namespace sluice::control
