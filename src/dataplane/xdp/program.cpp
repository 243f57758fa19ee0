#include "dataplane/xdp/program.hpp"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <span>
#include <vector>

#include "abi.h"
#include "base/reason.hpp"
#include "dataplane/xdp/encode.hpp"
#include "dataplane/xdp/libbpf_log.hpp"
#include "dataplane/xdp/maps.hpp"

extern "C" {
extern const char sluice_bpf_xdp_lb_begin[];
extern const char sluice_bpf_xdp_lb_end[];
}

namespace sluice::dataplane::xdp {

namespace {

/// What both kinds of objects need before anything is made of them.
Result<Object> prepare(Object object) {
  const auto cpus = static_cast<std::uint32_t>(libbpf_num_possible_cpus());
  auto* stats = bpf_object__find_map_by_name(object.get(), "xdp_stats_map");
  if (!stats || bpf_map__set_max_entries(stats, cpus) != 0)
    return fail(Code::unsupported, "the BPF object has no map xdp_stats_map");
  // Read from the file; the kernel has no use for it.
  if (auto* identity = bpf_object__find_map_by_name(object.get(), SL_IDENTITY_SECTION))
    bpf_map__set_autocreate(identity, false);
  return object;
}

/// Where a global constant stands in the object's .rodata.
Result<std::uint32_t> offset_of(const bpf_object* object, std::string_view constant) {
  const auto* btf = bpf_object__btf(object);
  const auto section = btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -1;
  const auto* type = section < 0 ? nullptr : btf__type_by_id(btf, static_cast<__u32>(section));
  for (int i = 0; type && i < btf_vlen(type); i++) {
    const auto& variable = btf_var_secinfos(type)[i];
    const auto* described = btf__type_by_id(btf, variable.type);
    if (described && constant == btf__name_by_offset(btf, described->name_off))
      return variable.offset;
  }
  return fail(Code::unsupported, "the BPF object has no constant " + std::string(constant));
}

bpf_map* rodata_of(const bpf_object* object) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (std::string_view(bpf_map__name(map)).ends_with(".rodata"))
      return map;
  }
  return nullptr;
}

/// Gives a global constant another value, for this instance of the program.
Result<void> set_constant(const bpf_object* object, std::string_view constant,
                          std::uint32_t value) {
  auto offset = offset_of(object, constant);
  if (!offset)
    return fail(offset.error());
  auto* rodata = rodata_of(object);
  std::size_t size = 0;
  const auto* initial =
      static_cast<const std::uint8_t*>(rodata ? bpf_map__initial_value(rodata, &size) : nullptr);
  if (!initial || *offset + sizeof value > size)
    return fail(Code::unsupported, "the BPF object's constants cannot be read");
  std::vector<std::uint8_t> constants(initial, initial + size);
  std::memcpy(constants.data() + *offset, &value, sizeof value);
  if (bpf_map__set_initial_value(rodata, constants.data(), size))
    return fail(Code::internal, "the BPF object's constants cannot be written");
  return {};
}

}  // namespace

Result<Object> open_object() {
  LibbpfLog log;
  LIBBPF_OPTS(bpf_object_open_opts, options);
  options.object_name = "xdp_lb";
  Object object(bpf_object__open_mem(
      sluice_bpf_xdp_lb_begin,
      static_cast<std::size_t>(sluice_bpf_xdp_lb_end - sluice_bpf_xdp_lb_begin), &options));
  if (!object)
    return fail(Code::internal, "the BPF object cannot be opened: " + log.tail());
  return prepare(std::move(object));
}

Result<Object> open_object(const std::filesystem::path& file) {
  LibbpfLog log;
  LIBBPF_OPTS(bpf_object_open_opts, options);
  options.object_name = "xdp_lb";
  Object object(bpf_object__open_file(file.c_str(), &options));
  if (!object)
    return fail(Code::unsupported,
                file.string() + " cannot be opened as a BPF object: " + std::strerror(errno));
  return prepare(std::move(object));
}

Result<Identity> identity_of(bpf_object* object) {
  const auto* section = bpf_object__find_map_by_name(object, SL_IDENTITY_SECTION);
  std::size_t size = 0;
  const auto* value =
      section ? bpf_map__initial_value(const_cast<bpf_map*>(section), &size) : nullptr;
  sl_identity identity{};
  if (!value || size < sizeof identity)
    return fail(Code::unsupported, "the BPF object does not say which version it is");
  std::memcpy(&identity, value, sizeof identity);
  return Identity{identity.abi, std::string(name_in(identity.version))};
}

std::string shared_name(const bpf_map* map) {
  const std::string name = bpf_map__name(map);
  return name.find(".rodata") != std::string::npos ? "" : name;
}

Result<void> make_multi_buffer(bpf_object* object) {
  if (!offset_of(object, "multi_buffer"))
    return fail(Code::unsupported,
                "the program has no multi-buffer variant, it is older than that");
  auto* program = bpf_object__find_program_by_name(object, "xdp_lb");
  if (!program ||
      bpf_program__set_flags(program, bpf_program__flags(program) | BPF_F_XDP_HAS_FRAGS))
    return fail(Code::unsupported, "the BPF object has no program xdp_lb");
  return set_constant(object, "multi_buffer", 1);
}

Result<Fd> load_program(const Object& object, const Maps& maps, std::uint32_t slot,
                        bool multi_buffer) {
  LibbpfLog log;
  if (auto set = set_constant(object.get(), "interface_slot", slot); !set)
    return fail(set.error());
  if (multi_buffer)
    if (auto made = make_multi_buffer(object.get()); !made)
      return fail(made.error());
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object.get()) {
    auto name = shared_name(map);
    if (multi_buffer && name == plain_devmap)
      name = multi_buffer_devmap;
    if (const int error = name.empty() ? 0 : bpf_map__reuse_fd(map, maps.fd(name)))
      return fail(Code::kernel, "the map " + name + " cannot be used: " + reason(-error));
  }
  if (const int error = bpf_object__load(object.get()))
    return fail(Code::kernel,
                "the kernel refuses the program: " + reason(-error) + "\n" + log.tail());
  const auto* program = bpf_object__find_program_by_name(object.get(), "xdp_lb");
  Fd fd(program ? fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 3) : -1);
  if (!fd)
    return fail(Code::unsupported, "the BPF object has no program xdp_lb");
  return fd;
}

bool is_multi_buffer(int fd, const Maps& maps) {
  bpf_map_info map{};
  std::uint32_t length = sizeof map;
  if (bpf_obj_get_info_by_fd(maps.fd(multi_buffer_devmap), &map, &length))
    return false;
  std::array<std::uint32_t, 64> used{};
  bpf_prog_info info{};
  info.nr_map_ids = used.size();
  info.map_ids = reinterpret_cast<std::uintptr_t>(used.data());
  length = sizeof info;
  if (bpf_obj_get_info_by_fd(fd, &info, &length))
    return false;
  const auto maps_of_it =
      std::span(used).first(std::min<std::size_t>(info.nr_map_ids, used.size()));
  return std::ranges::find(maps_of_it, map.id) != maps_of_it.end();
}

Result<planner::Program> program_info(int fd) {
  bpf_prog_info info{};
  std::uint32_t length = sizeof info;
  if (bpf_obj_get_info_by_fd(fd, &info, &length))
    return fail(Code::kernel,
                std::string("a program's state cannot be read: ") + std::strerror(errno));
  std::string tag;
  for (const auto byte : info.tag) {
    char text[3];
    std::snprintf(text, sizeof text, "%02x", byte);
    tag += text;
  }
  timespec up{};
  clock_gettime(CLOCK_BOOTTIME, &up);
  const auto since_boot = std::chrono::seconds(up.tv_sec) + std::chrono::nanoseconds(up.tv_nsec);
  const auto age = since_boot - std::chrono::nanoseconds(info.load_time);
  return planner::Program{.id = info.id,
                          .version = {},
                          .tag = tag,
                          .loaded =
                              std::chrono::system_clock::now() -
                              std::chrono::duration_cast<std::chrono::system_clock::duration>(age)};
}

}  // namespace sluice::dataplane::xdp
