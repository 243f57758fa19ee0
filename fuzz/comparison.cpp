#include "comparison.hpp"

#include <cstdio>
#include <cstring>
#include <fstream>

#include "dataplane/names.hpp"
#include "host/program.h"
#include "worlds.hpp"

namespace sluice::fuzz {

using namespace reference;

/// A world, and what it changes to.
struct Stages {
  struct Stage {
    const World* world;
    Contents contents;
  };
  std::vector<Stage> stages;
};

namespace {

const std::vector<Stages>& prepared() {
  static const auto all = [] {
    std::vector<Stages> made;
    for (const auto& world : worlds()) {
      auto& stages = made.emplace_back().stages;
      stages.push_back({&world, contents_of(world)});
      for (const auto& later : world.later)
        stages.push_back({&later, contents_of(later)});
    }
    return made;
  }();
  return all;
}

std::string hex(Bytes bytes) {
  std::string text;
  for (const auto byte : bytes) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", byte);
    text += two;
  }
  return text;
}

}  // namespace

std::string Figures::text() const {
  char line[200];
  std::snprintf(
      line, sizeof line, "%llu executions, %llu agreements, %llu sequences, %.0f %% for a service",
      static_cast<unsigned long long>(executions), static_cast<unsigned long long>(agreements),
      static_cast<unsigned long long>(sequences),
      executions ? 100.0 * static_cast<double>(for_a_service) / static_cast<double>(executions)
                 : 0.0);
  std::string text = line, missing;
  int seen = 0;
  for (int i = 0; i < SL_REASON_COUNT; i++) {
    seen += reasons[i] > 0;
    if (!reasons[i])
      missing += std::string(" ") + std::string(dataplane::reason_name(i));
  }
  text += ", " + std::to_string(seen) + " of " + std::to_string(int{SL_REASON_COUNT}) + " reasons";
  return missing.empty() ? text : text + " (not:" + missing + ")";
}

Comparison::Comparison(Twin* twin) : twin_(twin), model_(host_stats()->backend) {}

/// The counters that the model says this frame moves, and its verdict.
std::string Comparison::compare_counted(const Frame& frame, const Outcome& outcome) {
  const auto& program = *host_stats();
  const auto& expected = model_.counters();
  const auto verdict = static_cast<std::size_t>(outcome.action);
  const auto service = model_.last_service(), backend = model_.last_backend();
  if (std::memcmp(&program.verdict[frame.interface][verdict][outcome.reason],
                  &expected.verdict[frame.interface][verdict][outcome.reason], sizeof(sl_counter)))
    return "the verdict's counter differs";
  if (stages_->stages[0].world->crowded)
    return {};
  if (std::memcmp(&program.service[service], &expected.service[service], sizeof(sl_traffic)))
    return "counters of service " + std::to_string(service) + " differ";
  if (std::memcmp(&program.backend[backend], &expected.backend[backend], sizeof(sl_traffic)))
    return "counters of backend " + std::to_string(backend) + " differ";
  for (const auto id : {backend, model_.last_edge_of()})
    if (host_loads()->backend[id].active != model_.active(id))
      return "backend " + std::to_string(id) + " has " + std::to_string(model_.active(id)) +
             " flows, counted are " + std::to_string(host_loads()->backend[id].active);
  return {};
}

/// All backends' flows.
std::string Comparison::compare_loads() const {
  const auto& backends = stages_->stages[0].world->backends;
  for (std::uint16_t id = 0; id < backends.size(); id++)
    if (host_loads()->backend[id].active != model_.active(id))
      return "after all, backend " + std::to_string(id) + " has " +
             std::to_string(model_.active(id)) + " flows, counted are " +
             std::to_string(host_loads()->backend[id].active);
  return {};
}

/// As the daemon changes a configuration: a new front, and what stands beside it.
void Comparison::change_world() {
  if (stages_->stages.size() < 2)
    return;
  stage_ = (stage_ + 1) % stages_->stages.size();
  const auto& [world, contents] = stages_->stages[stage_];
  host_.change(*world, contents);
  model_.change(*world);
  if (twin_)
    twin_->change(*world, contents);
  figures_.changes++;
}

std::string Comparison::step(Kitchen& kitchen, const Recipe& recipe) {
  if (const auto wait = kitchen.wait(recipe)) {
    now_ += wait;
    host_.set_time(now_);
    model_.set_time(now_);
    if (twin_)
      twin_->set_time(now_);
  }
  if (Kitchen::changes(recipe))
    change_world();
  auto frame = kitchen.cook(recipe);
  if (twin_ && !twin_->takes(frame))
    return {};
  const auto outcome = host_.run(frame);
  auto complaint = model_.judge(frame, outcome);
  if (complaint.empty())
    complaint = compare_counted(frame, outcome);
  if (!complaint.empty())
    complaint = "the program: " + complaint;
  if (complaint.empty() && twin_) {
    const auto twin = twin_->run(frame);
    if (twin.action != outcome.action || twin.reason != outcome.reason ||
        !std::ranges::equal(twin.bytes, outcome.bytes) ||
        !std::ranges::equal(twin.meta, outcome.meta))
      complaint = "the kernel's program: action " + std::to_string(static_cast<int>(twin.action)) +
                  " reason " + std::to_string(twin.reason) + ", on the host action " +
                  std::to_string(static_cast<int>(outcome.action)) + " reason " +
                  std::to_string(outcome.reason) + "\n  kernel   " + hex(twin.bytes) +
                  "\n  host     " + hex(outcome.bytes);
  }
  figures_.executions++;
  if (complaint.empty()) {
    figures_.agreements++;
    figures_.reasons[outcome.reason]++;
    kitchen.taste(outcome);
    return {};
  }
  return complaint + "\n  in       " + hex(frame.bytes) + "\n  out      " + hex(outcome.bytes) +
         "\n  expected " + hex(model_.expected().bytes) + "\n  interface " +
         std::to_string(frame.interface) + ", headroom " + std::to_string(frame.headroom) +
         ", at " + std::to_string(now_ - first_epoch) + " s";
}

std::string Comparison::run(const Input& input) {
  const auto number = input.world % prepared().size();
  stages_ = &prepared()[number];
  if (twin_ && stages_->stages[0].world->draws)  // two programs would draw differently
    stages_ = &prepared()[(number + 1) % prepared().size()];
  stage_ = 0;
  const auto& [world, contents] = stages_->stages[0];
  host_.load(*world, contents);
  model_.load(*world);
  if (twin_)
    twin_->load(*world, contents);
  if (disagreed_) {  // what was counted before does not agree either
    host_.clear_counters();
    model_.clear_counters();
    disagreed_ = false;
  }
  now_ = first_epoch;
  model_.set_time(now_);
  Kitchen kitchen(*world);
  figures_.sequences++;
  const auto before = model_.for_a_service();
  for (std::size_t i = 0; i < input.recipes.size(); i++)
    if (const auto complaint = step(kitchen, input.recipes[i]); !complaint.empty()) {
      disagreed_ = true;
      return "world '" + world->name + "', frame " + std::to_string(i) + ": " + complaint;
    }
  figures_.for_a_service += model_.for_a_service() - before;
  if (world->crowded)
    model_.believe(host_stats()->service, host_stats()->backend);
  else if (const auto complaint = compare_loads(); !complaint.empty()) {
    disagreed_ = true;
    return "world '" + world->name + "': " + complaint;
  }
  return {};
}

std::string Comparison::compare_counters() {
  const auto& program = *host_stats();
  const auto& expected = model_.counters();
  if (std::memcmp(program.verdict, expected.verdict, sizeof expected.verdict))
    return "a verdict was counted that no frame had";
  if (std::memcmp(program.service, expected.service, sizeof expected.service) ||
      std::memcmp(program.backend, expected.backend, sizeof expected.backend))
    return "a service or a backend has got what no frame was for";
  return twin_ ? twin_->compare_memory() : std::string();
}

Input shortened(Comparison& comparison, Input input) {
  int tries = 500;
  for (auto piece = input.recipes.size() / 2; piece > 0; piece /= 2)
    for (std::size_t at = 0; at + piece <= input.recipes.size() && tries-- > 0;) {
      auto shorter = input;
      const auto first = shorter.recipes.begin() + static_cast<std::ptrdiff_t>(at);
      shorter.recipes.erase(first, first + static_cast<std::ptrdiff_t>(piece));
      if (comparison.run(shorter).empty())
        at += piece;
      else
        input = shorter;
    }
  return input;
}

std::string reproducer(const Input& input, const std::string& complaint) {
  const char* file = "disagreement.input";
  const auto bytes = input.bytes();
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  return complaint + "\n" + std::to_string(input.recipes.size()) + " recipes are in " + file +
         "; run the same again with: packet_loop --input " + file;
}

}  // namespace sluice::fuzz
