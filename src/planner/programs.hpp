// Plans that change which program is on an interface, and nothing else.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "planner/plan.hpp"

namespace sluice::planner {

/// A program in the kernel.
struct Program {
  std::uint32_t id = 0;
  std::string version;  ///< what it says of itself; empty: nobody wrote it down
  std::string tag;      ///< the kernel's hash over its instructions; empty: it cannot be looked at
  std::chrono::system_clock::time_point loaded;
  bool multi_buffer = false;  ///< the variant that takes frames in several buffers
};

/// What is on an interface, and what a rollback would put there.
struct Programs {
  Program running;
  std::optional<Program> previous;
};

/// By interface.
using ProgramsByInterface = std::map<std::string, Programs>;

/// The plan that puts a version on an interface, or on all that are attached.
/// @param name the version as the data plane lists it
/// @param version what it says of itself
/// Errors: Code::not_found if nothing is attached there.
Result<Plan> plan_reload(const Image& running, const ProgramsByInterface& programs,
                         const std::optional<std::string>& interface, const std::string& name,
                         const std::string& version);

/// The plans that put the running programs into the variant that the interfaces' MTUs ask for by
/// now, one for each interface that needs it: one whose driver refuses must not hold up the others.
std::vector<Plan> plan_fits(const Image& running, const model::Topology& topology);

/// The plan that puts the program before back on an interface, or on all that have one.
/// Errors: Code::not_found if nothing is attached there, Code::invalid if there is none before it.
Result<Plan> plan_rollback(const Image& running, const ProgramsByInterface& programs,
                           const std::optional<std::string>& interface);

}  // namespace sluice::planner
