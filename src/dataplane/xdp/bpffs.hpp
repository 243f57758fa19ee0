// Where an instance's kernel objects are pinned:
// /sys/fs/bpf/sluice/<instance>/v<layout>/{maps,links,progs,previous,incoming}. A layout is an
// SL_ABI_VERSION: maps of one are never read as those of another.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace sluice::dataplane::xdp {

class PinFolder {
 public:
  /// @param instance letters, digits, '_' and '-': a name that bpffs takes
  static Result<PinFolder> of(std::string_view instance);

  /// Mounts a BPF file system if none is there, and makes the folders.
  Result<void> create() const;
  /// Holds the instance for as long as the descriptor is open, so that no two daemons write the
  /// same memory. Code::unavailable when another process has it.
  Result<Fd> lock() const;
  /// Whether the instance has anything here, as far as the caller may see.
  bool exists() const;
  /// Removes all pins and folders of the instance, of every ABI version.
  Result<void> remove_all() const;

  std::filesystem::path map(std::string_view name) const;
  std::filesystem::path link(std::string_view interface) const;
  std::filesystem::path program(std::string_view interface) const;
  /// The program that marks packets there, and a second pin of it if its queueing discipline is
  /// ours.
  std::filesystem::path marking(std::string_view interface) const;
  std::filesystem::path marking_clsact(std::string_view interface) const;
  /// The program that was there before the one that runs.
  std::filesystem::path previous(std::string_view interface) const;
  /// The program that is on its way to be the one that runs.
  std::filesystem::path incoming(std::string_view interface) const;
  /// Interfaces that have a link pinned, of this layout.
  std::vector<std::string> linked_interfaces() const;

  std::uint32_t layout() const { return layout_; }
  /// The folders of the same instance that daemons with other layouts have made.
  std::vector<PinFolder> others() const;
  /// Removes all pins of this layout.
  void remove_layout() const;

 private:
  PinFolder(std::filesystem::path instance, std::uint32_t layout);
  std::filesystem::path instance_, version_;
  std::uint32_t layout_;
};

}  // namespace sluice::dataplane::xdp
