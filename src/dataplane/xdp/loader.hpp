// The XDP data plane: applies plans to the kernel and reads back what runs.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string_view>

#include "dataplane/dataplane.hpp"
#include "dataplane/xdp/attachments.hpp"
#include "dataplane/xdp/bpffs.hpp"
#include "dataplane/xdp/maps.hpp"
#include "dataplane/xdp/versions.hpp"

namespace sluice::dataplane::xdp {

/// Not thread-safe. Destroying it leaves everything running.
class Loader final : public Dataplane {
 public:
  /// Adopts what the instance has pinned, or makes it. Code::unavailable while another process has
  /// the instance open.
  /// @param programs a folder with objects of other versions, see Versions; empty: none
  static Result<std::unique_ptr<Loader>> open(std::string_view instance,
                                              const std::filesystem::path& programs = {});

  /// Takes the program off one interface, or off all and removes every pin of the instance; without
  /// a daemon.
  /// @return what was detached
  static Result<std::vector<std::string>>
  remove_instance(std::string_view instance, const std::optional<std::string>& interface = {});

  /// True if the instance had a program on an interface when it was opened.
  bool adopted() const { return adopted_; }
  Result<planner::Image> running() override;
  Result<void> apply(const planner::Plan& plan) override;
  Result<Counters> counters() override;
  Result<std::vector<Attachment>> attachments() override { return attachments_.list(maps_); }
  std::vector<ProgramVersion> versions() const override { return versions_.list(maps_); }
  bool in_transition() const override;
  planner::Learned sweep(const planner::Image& image) override;
  void tick(std::uint32_t epoch) override;

  /// Adds a server to the pool `default` of the running data plane, with weight 1 and nat.
  /// Errors: Code::invalid (no address), Code::exists, Code::full; the maps are then as they were.
  Result<void> add_backend(std::string_view ip, const model::Topology& topology = {});
  /// Takes a server out of the pool `default`. Errors: Code::invalid, Code::not_found.
  Result<void> remove_backend(std::string_view ip, const model::Topology& topology = {});
  /// Packets, bytes and drops since the maps were made, over all CPUs and interfaces.
  Totals get_stats() const;

 private:
  Loader(Fd lock, Versions versions, Maps maps, Attachments attachments)
      : lock_(std::move(lock)), versions_(std::move(versions)), maps_(std::move(maps)),
        attachments_(std::move(attachments)), adopted_(!attachments_.empty()) {}

  class Transaction;
  /// The place of an interface in the devmaps; one is taken if it has none.
  Result<std::uint32_t> slot_of(std::uint32_t ifindex);
  /// Makes both devmaps send what goes to a place out of an interface.
  Result<void> place(std::uint32_t slot, std::uint32_t ifindex);
  void free_unused_slots();
  Result<void> run(const planner::Plan& plan);
  Result<void> run_step(const planner::Plan& plan, const planner::Step& step);
  /// A variant of a version's program for the interface behind an index.
  Result<LoadedProgram> load(std::string_view version, std::uint32_t ifindex, bool multi_buffer);
  LoadVariant variants_of(std::string version, std::uint32_t ifindex);
  /// A variant of the same code as a program's that is loaded already.
  Result<LoadedProgram> load_same(const planner::Program& program, std::uint32_t ifindex,
                                  bool multi_buffer);
  Result<void> attach(const planner::Attach& step);
  Result<void> take_over(const planner::TakeOver& step);
  Result<void> replace_program(const planner::ReplaceProgram& step);
  Result<void> fit_program(const planner::FitProgram& step);
  Result<void> put_backend(const planner::PutBackend& step);
  /// From now on no packet chooses this backend.
  void disable_backend(std::uint16_t id);
  /// Ends the entries of disabled backends, and what is remembered of their flows.
  void clear_backends(const std::set<std::uint16_t>& ids);
  /// What the choice of a new flow's backend needs to know of this one.
  void set_load(std::uint16_t id, std::uint32_t weight, std::uint32_t limit);
  Result<void> fill_table(const planner::FillTable& step);
  Result<void> mark_slots(const planner::MarkSlots& step);
  Result<void> write_slots(const std::string& pool, const planner::TableImage& table);
  Result<void> swap_front(const planner::Plan& plan);
  using EditBackends = std::function<Result<void>(std::vector<model::Backend>&)>;
  Result<void> change_default_pool(const EditBackends& edit, const model::Topology& topology);

  Fd lock_;
  Versions versions_;
  Maps maps_;
  Attachments attachments_;
  bool adopted_;
};

}  // namespace sluice::dataplane::xdp
