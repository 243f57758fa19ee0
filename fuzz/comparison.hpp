// Inputs through the programs and the model: they must agree on every frame, and on all counters.
#pragma once

#include <memory>
#include <string>

#include "host_program.hpp"
#include "recipe.hpp"

namespace sluice::fuzz {

/// A second program that must do the same as the one on the host.
class Twin {
 public:
  virtual ~Twin() = default;
  virtual void load(const reference::World& world, const Contents& contents) = 0;
  virtual void change(const reference::World& world, const Contents& contents) = 0;
  virtual void set_time(std::uint32_t now) = 0;
  /// Can it be given this frame? What it cannot is left out for all.
  virtual bool takes(const reference::Frame& frame) const = 0;
  virtual reference::Outcome run(const reference::Frame& frame) = 0;
  /// What of its memory is not as the host program's has become; empty if all is.
  virtual std::string compare_memory() = 0;
};

struct Figures {
  std::uint64_t executions = 0;  ///< frames
  std::uint64_t agreements = 0;  ///< frames on which all agreed
  std::uint64_t sequences = 0;
  std::uint64_t reasons[SL_REASON_COUNT] = {};
  std::uint64_t for_a_service = 0;
  std::uint64_t changes = 0;  ///< of a configuration, between frames

  /// For people: one line, and those reasons that never came.
  std::string text() const;
};

struct Stages;

class Comparison {
 public:
  /// @param twin may be null; refers to it
  explicit Comparison(Twin* twin = nullptr);

  /// Runs a sequence from nothing remembered. Empty, or on which frame who said what.
  std::string run(const Input& input);
  /// Compares all counters, and the twin's memory. Empty, or what differs.
  std::string compare_counters();
  const Figures& figures() const { return figures_; }

 private:
  std::string step(Kitchen& kitchen, const Recipe& recipe);
  void change_world();
  std::string compare_loads() const;
  std::string compare_counted(const reference::Frame& frame, const reference::Outcome& outcome);

  HostProgram host_;
  Twin* twin_;
  reference::Model model_;
  Figures figures_;
  const Stages* stages_ = nullptr;  ///< the world
  std::size_t stage_ = 0;           ///< what it has become
  std::uint32_t now_ = first_epoch;
  bool disagreed_ = false;
};

/// The fewest recipes that still fail, as far as leaving out pieces finds them.
Input shortened(Comparison& comparison, Input input);

/// Writes the input to a file and says how to run it again.
std::string reproducer(const Input& input, const std::string& complaint);

}  // namespace sluice::fuzz
