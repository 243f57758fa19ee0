// The same object in the kernel, driven by BPF_PROG_TEST_RUN: one instance for each interface, with
// shared maps, as the loader does it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "comparison.hpp"
#include "host/program.h"

struct bpf_object;

namespace sluice::fuzz {

class KernelProgram : public Twin {
 public:
  /// Loads the object file; keeps to CPU 0. Throws std::runtime_error where the kernel refuses.
  explicit KernelProgram(const std::string& object_file);
  ~KernelProgram() override;
  KernelProgram(const KernelProgram&) = delete;
  KernelProgram& operator=(const KernelProgram&) = delete;

  void load(const reference::World& world, const Contents& contents) override;
  void change(const reference::World& world, const Contents& contents) override;
  void set_time(std::uint32_t now) override;
  bool takes(const reference::Frame& frame) const override;
  reference::Outcome run(const reference::Frame& frame) override;
  std::string compare_memory() override;

 private:
  struct Memory {
    void* at;
    std::size_t size;
  };
  static constexpr unsigned interfaces = 2;

  int map(const char* name) const;
  template <class T>
  T* memory(const std::string& name) {
    return static_cast<T*>(memory_.at(name).at);
  }
  void clear_lru();

  std::vector<bpf_object*> objects_;
  int programs_[interfaces] = {};
  std::map<std::string, Memory> memory_;
  std::vector<std::pair<reference::AccessEntry, int>> access_;
  std::vector<std::uint8_t> in_, out_;
  std::size_t longest_metadata_ = HOST_HEADROOM;
  std::vector<sl_flow_key> lru_keys_;
  std::vector<sl_flow> lru_values_;
  sl_stats* stats_ = nullptr;  ///< of CPU 0
  sl_control* control_ = nullptr;
  sl_limit* limits_ = nullptr;
  std::uint64_t counted_[interfaces][5][SL_REASONS] = {};  ///< packets so far
  std::size_t limited_ = 0;                                ///< backends that may have a limit
};

}  // namespace sluice::fuzz
