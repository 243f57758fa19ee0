#include "dataplane/xdp/maps.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/reason.hpp"
#include "dataplane/xdp/libbpf_log.hpp"
#include "dataplane/xdp/program.hpp"

namespace sluice::dataplane::xdp {

namespace {

Result<bpf_map_info> map_info(int fd) {
  bpf_map_info info{};
  std::uint32_t length = sizeof info;
  if (bpf_obj_get_info_by_fd(fd, &info, &length))
    return fail(Code::kernel, std::string("a map's state cannot be read: ") + std::strerror(errno));
  return info;
}

/// The layouts that this file's callers read memory with. The object was compiled from the same
/// abi.h, but by another compiler.
struct Layout {
  std::string_view map;
  std::size_t value_size;
};
constexpr Layout layouts[] = {
    {".bss.front", 2 * sizeof(sl_front)},
    {".bss.slots", (SL_SLOT_ARENA + 2) * sizeof(std::uint32_t)},
    {".bss.control", sizeof(sl_control)},
    {".bss.limits", SL_MAX_BACKENDS * sizeof(sl_limit)},
    {".bss.fragments", sizeof(sl_fragment_line) << SL_FRAGMENT_BITS},
    {".bss.flows", sizeof(sl_flow_line) << SL_FLOW_BITS},
    {".bss.opening", sizeof(sl_flow_line) << SL_OPENING_BITS},
    {".bss.records", sizeof(sl_bucket) << SL_RECORD_BITS},
    {".bss.ways", SL_WAYS * sizeof(sl_way)},
    {".bss.vips", SL_MAX_SERVICES * sizeof(sl_vip)},
    {".bss.loads", sizeof(sl_loads)},
    {"backend_pool", sizeof(sl_backend)},
    {"xdp_stats_map", sizeof(sl_stats)},
    {"nat_flows", sizeof(sl_flow)},
    {"backend_labels", sizeof(sl_backend_label)},
    {"service_labels", sizeof(sl_service_label)},
    {"table_labels", sizeof(sl_table_label)},
    {"program_labels", sizeof(sl_program_label)},
};

Result<void> check_layouts(const bpf_object* object) {
  for (const auto& layout : layouts) {
    const bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object) {
      if (shared_name(map) == layout.map)
        break;
    }
    if (!map || bpf_map__value_size(map) != layout.value_size)
      return fail(Code::internal,
                  "the BPF object's map " + std::string(layout.map) +
                      (map ? " has another value size than the daemon's struct" : " is missing") +
                      "; build both from the same bpf/abi.h");
  }
  return {};
}

/// How a map in the kernel differs from what an object declares; empty: it does not.
Result<std::string> difference(const bpf_map* map, int there) {
  auto info = map_info(there);
  if (!info)
    return fail(info.error());
  // The kernel gives a devmap this flag by itself.
  const auto flags = info->type == BPF_MAP_TYPE_DEVMAP
                         ? info->map_flags & ~static_cast<std::uint32_t>(BPF_F_RDONLY_PROG)
                         : info->map_flags;
  struct Property {
    const char* what;
    std::uint32_t found, needed;
  };
  const Property properties[] = {
      {"type", info->type, static_cast<std::uint32_t>(bpf_map__type(map))},
      {"key size", info->key_size, bpf_map__key_size(map)},
      {"value size", info->value_size, bpf_map__value_size(map)},
      {"number of entries", info->max_entries, bpf_map__max_entries(map)},
      {"flags", flags, bpf_map__map_flags(map)},
  };
  for (const auto& property : properties)
    if (property.found != property.needed)
      return std::string("has ") + property.what + " " + std::to_string(property.found) +
             ", this program needs " + std::to_string(property.needed);
  return std::string();
}

/// A pinned map must have the shape that this program's code expects; otherwise it would read other
/// fields than those that were written.
Result<void> check_shape(const bpf_map* map, const std::string& name, int pinned) {
  auto differs = difference(map, pinned);
  if (!differs)
    return fail(differs.error());
  if (!differs->empty())
    return fail(Code::unsupported,
                "the pinned map " + name + " " + *differs +
                    "; it was made by another build. To start afresh, take the data plane off with "
                    "'sluicectl detach --all' and start again");
  return {};
}

/// Sections of more than this are made by us: libbpf would write zeros over them, page by page,
/// which takes a second for the table of flows.
constexpr std::size_t large_section = 1 << 20;

Result<void> make_zeroed(bpf_map* map, const std::string& name, const std::string& path) {
  LIBBPF_OPTS(bpf_map_create_opts, options);
  options.map_flags = bpf_map__map_flags(map);
  // The kernel takes 15 characters of a name.
  const Fd made(bpf_map_create(bpf_map__type(map), name.substr(0, 15).c_str(),
                               bpf_map__key_size(map), bpf_map__value_size(map),
                               bpf_map__max_entries(map), &options));
  if (!made || bpf_obj_pin(made.get(), path.c_str()) != 0 ||
      bpf_map__reuse_fd(map, made.get()) != 0)
    return fail(errno == EPERM ? Code::permission : Code::kernel,
                "the map " + name + " cannot be made: " + reason(errno));
  return {};
}

/// Has the map made and pinned by the load, or taken from where it is pinned already.
Result<void> choose(bpf_map* map, const std::string& name, const std::string& path) {
  const Fd pinned(bpf_obj_get(path.c_str()));
  if (!pinned && errno != ENOENT)
    return fail(Code::permission, "the pinned map " + path + " cannot be opened: " + reason(errno));
  if (!pinned && name.starts_with(".bss") && bpf_map__value_size(map) > large_section)
    return make_zeroed(map, name, path);
  if (!pinned) {
    bpf_map__set_pin_path(map, path.c_str());
    return {};
  }
  if (auto fits = check_shape(map, name, pinned.get()); !fits)
    return fits;
  // Not by the pin path: libbpf 1.1 would compare a devmap's flags with those that the kernel
  // added.
  if (bpf_map__reuse_fd(map, pinned.get()) != 0)
    return fail(Code::kernel, "the pinned map " + name + " cannot be used: " + reason(errno));
  return {};
}

}  // namespace

void Maps::Unmap::operator()(void* address) const {
  munmap(address, bytes);
}

int Maps::fd(const std::string& name) const {
  const auto found = maps_.find(name);
  return found == maps_.end() ? -1 : found->second.fd.get();
}

Result<void> Maps::take(const std::string& name, int fd) {
  Map map;
  map.fd = Fd(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  auto info = map_info(fd);
  if (!info)
    return fail(info.error());
  if (info->map_flags & BPF_F_MMAPABLE) {
    map.bytes = std::size_t{info->max_entries} * ((info->value_size + 7) & ~7u);
    if (info->max_entries == 1)
      map.bytes = info->value_size;
    void* address = mmap(nullptr, map.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map.fd.get(), 0);
    if (address == MAP_FAILED)
      return fail(Code::kernel, "the map " + name + " cannot be mapped: " + reason(errno));
    map.memory = std::unique_ptr<void, Unmap>(address, Unmap{map.bytes});
  }
  maps_.emplace(name, std::move(map));
  return {};
}

Result<void> Maps::fit(const bpf_object* object) const {
  const bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    const auto name = shared_name(map);
    if (name.empty())
      continue;
    if (fd(name) < 0)
      return fail(Code::unsupported, "it needs a map " + name + ", which there is not");
    auto differs = difference(map, fd(name));
    if (!differs)
      return fail(differs.error());
    if (!differs->empty())
      return fail(Code::unsupported, "the map " + name + " " + *differs);
  }
  return {};
}

Result<Maps> Maps::open(const PinFolder& folder) {
  auto object = open_object();
  if (!object)
    return fail(object.error());
  if (auto same = check_layouts(object->get()); !same)
    return fail(same.error());
  LibbpfLog log;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object->get()) {
    const auto name = shared_name(map);
    if (name.empty())
      continue;
    if (auto chosen = choose(map, name, folder.map(name).string()); !chosen)
      return fail(chosen.error());
  }
  if (const int error = bpf_object__load(object->get()))
    return fail(error == -EPERM ? Code::permission : Code::kernel,
                "the kernel refuses the program: " + reason(-error) + "\n" + log.tail());
  Maps maps;
  bpf_object__for_each_map(map, object->get()) {
    const auto name = shared_name(map);
    if (!name.empty())
      if (auto taken = maps.take(name, bpf_map__fd(map)); !taken)
        return fail(taken.error());
  }
  const auto* program = bpf_object__find_program_by_name(object->get(), "xdp_lb");
  auto info = program ? program_info(bpf_program__fd(program))
                      : fail(Code::internal, "the BPF object has no program xdp_lb");
  if (!info)
    return fail(info.error());
  maps.built_in_tag_ = info->tag;
  return maps;
}

}  // namespace sluice::dataplane::xdp
