#include "kernel_program.hpp"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <stdexcept>

#include "host/program.h"

namespace sluice::fuzz {

using namespace reference;

namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

/// The key of an access list, of either family.
struct Prefix {
  std::uint32_t length;
  std::uint8_t address[16];
};

Prefix prefix_of(const AccessEntry& entry) {
  Prefix prefix{entry.length, {}};
  const auto* bytes = entry.address.bytes().data();
  if (entry.address.is_v4())
    std::memcpy(prefix.address, bytes + 12, 4);
  else
    std::memcpy(prefix.address, bytes, 16);
  return prefix;
}

/// Where a constant stands in .rodata; beyond its end if there is none of this name.
std::size_t place_of_constant(const bpf_object* object, std::string_view name) {
  const auto* btf = bpf_object__btf(object);
  const auto section = btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -1;
  const auto* type = section < 0 ? nullptr : btf__type_by_id(btf, static_cast<__u32>(section));
  for (int i = 0; type && i < btf_vlen(type); i++) {
    const auto& variable = btf_var_secinfos(type)[i];
    const auto* described = btf__type_by_id(btf, variable.type);
    if (described && name == btf__name_by_offset(btf, described->name_off))
      return variable.offset;
  }
  return SIZE_MAX / 2;
}

/// Metadata before a frame: Linux 6.1 takes 32 bytes of it at most, later kernels take more.
constexpr std::size_t short_metadata = 32;

/// Can frames of a test run stand behind so much metadata? Asked with a program that passes all.
bool takes_metadata(std::size_t size) {
  const bpf_insn pass[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = XDP_PASS},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  const int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, std::size(pass), nullptr);
  if (fd < 0)
    fail("a program that passes everything");
  std::vector<std::uint8_t> frame(size + 64);
  xdp_md context{};
  context.data = static_cast<__u32>(size);
  context.data_end = static_cast<__u32>(frame.size());
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<__u32>(frame.size());
  options.ctx_in = &context;
  options.ctx_size_in = sizeof context;
  const bool taken = bpf_prog_test_run_opts(fd, &options) == 0;
  close(fd);
  return taken;
}

}  // namespace

KernelProgram::KernelProgram(const std::string& object_file) : in_(4096), out_(4096) {
  cpu_set_t first;
  CPU_ZERO(&first);
  CPU_SET(0, &first);
  if (sched_setaffinity(0, sizeof first, &first) != 0)
    fail("CPU 0 is not to be had");
  if (!takes_metadata(longest_metadata_))
    longest_metadata_ = short_metadata;
  for (unsigned i = 0; i < interfaces; i++) {
    auto* object = bpf_object__open_file(object_file.c_str(), nullptr);
    if (!object)
      fail(object_file);
    objects_.push_back(object);
    bpf_map* one = nullptr;
    bpf_object__for_each_map(one, object) {
      const std::string name = bpf_map__name(one);
      if (name.ends_with(".rodata")) {
        std::size_t size = 0;
        void* constants = const_cast<void*>(bpf_map__initial_value(one, &size));
        const auto at = place_of_constant(object, "interface_slot");
        if (at + sizeof i > size)
          fail("the constants cannot be read");
        std::memcpy(static_cast<char*>(constants) + at, &i, sizeof i);
      } else if (i > 0) {
        bpf_map__reuse_fd(one,
                          bpf_map__fd(bpf_object__find_map_by_name(objects_[0], name.c_str())));
      } else if (name == "xdp_stats_map") {
        bpf_map__set_max_entries(one, static_cast<std::uint32_t>(libbpf_num_possible_cpus()));
      }
    }
    if (bpf_object__load(object) != 0)
      fail("the kernel refuses " + object_file);
    programs_[i] = bpf_program__fd(bpf_object__find_program_by_name(object, "xdp_lb"));
  }
  for (const char* name : {".bss.front", ".bss.slots", ".bss.control", ".bss.flows", ".bss.opening",
                           ".bss.vips", ".bss.records", ".bss.fragments", ".bss.ways", ".bss.loads",
                           ".bss.limits", "backend_pool", "xdp_stats_map"}) {
    const auto* one = bpf_object__find_map_by_name(objects_[0], name);
    if (!one)
      fail(std::string("no map ") + name);
    const auto size =
        ((std::size_t{bpf_map__value_size(one)} + 7) & ~std::size_t{7}) * bpf_map__max_entries(one);
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(one), 0);
    if (at == MAP_FAILED)
      fail(std::string("mmap of ") + name);
    memory_[name] = {at, size};
  }
  stats_ = memory<sl_stats>("xdp_stats_map");
  control_ = memory<sl_control>(".bss.control");
  limits_ = memory<sl_limit>(".bss.limits");
}

KernelProgram::~KernelProgram() {
  for (const auto& [name, one] : memory_)
    munmap(one.at, one.size);
  for (auto* object : objects_)
    bpf_object__close(object);
}

int KernelProgram::map(const char* name) const {
  return bpf_map__fd(bpf_object__find_map_by_name(objects_[0], name));
}

/// In batches: to ask for the first key again and again is to look through all that is empty.
void KernelProgram::clear_lru() {
  constexpr std::uint32_t batch = 16384;
  lru_keys_.resize(batch);
  lru_values_.resize(batch);
  const int fd = map("nat_flows");
  std::uint32_t next = 0;
  for (bool first = true;; first = false) {
    std::uint32_t count = batch;
    if (bpf_map_lookup_and_delete_batch(fd, first ? nullptr : &next, &next, lru_keys_.data(),
                                        lru_values_.data(), &count, nullptr) != 0) {
      if (errno == ENOENT)
        return;
      fail("nat_flows cannot be emptied");
    }
  }
}

void KernelProgram::load(const World& world, const Contents& contents) {
  for (const char* name : {".bss.flows", ".bss.opening", ".bss.records", ".bss.fragments",
                           ".bss.ways", ".bss.loads", ".bss.limits"})
    std::memset(memory_.at(name).at, 0, memory_.at(name).size);
  clear_lru();
  stats_->told = stats_->told_epoch = 0;
  stats_->learning.epoch = stats_->learning.left = 0;
  stats_->allowance = {};
  *control_ = {};
  control_->active = contents.active ^ 1;
  control_->flow_multiplier = contents.flow_multiplier;
  control_->epoch = first_epoch;
  change(world, contents);
}

void KernelProgram::change(const World& world, const Contents& contents) {
  control_->active ^= 1;
  const auto loopback = if_nametoindex("lo");
  for (std::uint32_t i = 0; i < SL_MAX_INTERFACES; i++) {
    const int fd = map("tx_ports");
    if (i < world.interfaces)
      bpf_map_update_elem(fd, &i, &loopback, BPF_ANY);
    else
      bpf_map_delete_elem(fd, &i);
    control_->interfaces[i] = i < world.interfaces ? i + 1 : 0;
  }
  memory<sl_front>(".bss.front")[control_->active] = contents.front;
  auto* backends = memory<sl_backend>("backend_pool");
  std::memset(backends, 0, sizeof(sl_backend) * SL_MAX_BACKENDS);
  std::memcpy(backends, contents.backends.data(), contents.backends.size() * sizeof(sl_backend));
  std::memcpy(memory<sl_vip>(".bss.vips"), contents.vips.data(),
              contents.vips.size() * sizeof(sl_vip));
  for (const auto& [at, word] : contents.slots)
    memory<__u32>(".bss.slots")[at] = word;
  limited_ = contents.limits.size();
  set_loads(contents, *memory<sl_loads>(".bss.loads"), limits_);
  for (const auto& [entry, fd] : access_) {
    const auto prefix = prefix_of(entry);
    bpf_map_delete_elem(fd, &prefix);
  }
  access_.clear();
  for (const auto& entry : world.access) {
    const bool v4 = entry.address.is_v4(), second = contents.front.access.list & 1;
    const int fd =
        map(v4 ? (second ? "access4_1" : "access4_0") : (second ? "access6_1" : "access6_0"));
    const auto prefix = prefix_of(entry);
    const __u32 action = entry.deny ? SL_ACCESS_DENY : SL_ACCESS_ALLOW;
    if (bpf_map_update_elem(fd, &prefix, &action, BPF_ANY) != 0)
      fail("access list");
    access_.emplace_back(entry, fd);
  }
}

void KernelProgram::set_time(std::uint32_t now) {
  for (std::size_t i = 0; i < limited_; i++)
    limits_[i].full_at = bucket_after(limits_[i].full_at, now - control_->epoch);
  *const_cast<volatile __u32*>(&control_->epoch) = now;
}

bool KernelProgram::takes(const Frame& frame) const {
  // No test run takes a frame without a whole Ethernet header.
  return frame.bytes.size() >= 14 && HOST_HEADROOM - frame.headroom <= longest_metadata_;
}

Outcome KernelProgram::run(const Frame& frame) {
  // Less room before the frame: what is missing is called metadata.
  const auto meta = HOST_HEADROOM - frame.headroom;
  in_.resize(meta + frame.bytes.size());
  std::memset(in_.data(), 0, meta);
  std::ranges::copy(frame.bytes, in_.begin() + static_cast<std::ptrdiff_t>(meta));
  out_.resize(4096);
  xdp_md context{}, context_out{};
  context.data = meta;
  context.data_end = static_cast<__u32>(in_.size());
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = in_.data();
  options.data_size_in = static_cast<__u32>(in_.size());
  options.data_out = out_.data();
  options.data_size_out = static_cast<__u32>(out_.size());
  if (meta) {
    options.ctx_in = &context;
    options.ctx_size_in = sizeof context;
    options.ctx_out = &context_out;
    options.ctx_size_out = sizeof context_out;
  }
  if (bpf_prog_test_run_opts(programs_[frame.interface], &options) != 0)
    fail("BPF_PROG_TEST_RUN of " + std::to_string(frame.bytes.size()) + " bytes behind " +
         std::to_string(meta));
  auto reason = SL_REASON_COUNT;
  if (options.retval < 5) {
    const auto& row = stats_->verdict[frame.interface][options.retval];
    auto& counted = counted_[frame.interface][options.retval];
    for (int one = 0; one < SL_REASON_COUNT; one++)
      if (row[one].packets != counted[one]) {
        counted[one] = row[one].packets;
        reason = static_cast<sl_reason>(one);
      }
  }
  const bool marked = reason == SL_REASON_RATE_LIMITED && options.retval == XDP_PASS;
  const std::size_t skip = meta ? context_out.data : marked ? sizeof(sl_mark) : 0;
  Outcome seen{static_cast<Action>(options.retval),
               reason,
               {out_.data() + skip, options.data_size_out - skip}};
  if (marked)
    seen.meta = {out_.data(), sizeof(sl_mark)};
  return seen;
}

std::string KernelProgram::compare_memory() {
  for (unsigned i = 0;; i++) {
    const auto host = host_state(i);
    if (!host.map)
      break;
    if (std::memcmp(host.at, memory_.at(host.map).at, host.size) != 0)
      return std::string(host.map) + " in the kernel is not what it is on the host";
  }
  const auto& host = *host_stats();
  const auto& kernel = *stats_;
  if (std::memcmp(host.verdict, kernel.verdict, sizeof host.verdict) ||
      std::memcmp(host.service, kernel.service, sizeof host.service) ||
      std::memcmp(host.backend, kernel.backend, sizeof host.backend) ||
      std::memcmp(&host.learning, &kernel.learning, sizeof host.learning))
    return "the kernel's counters are not those of the host";
  return {};
}

}  // namespace sluice::fuzz
