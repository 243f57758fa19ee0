#include "dataplane/xdp/program.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "dataplane/xdp/libbpf_log.hpp"
#include "dataplane/xdp/maps.hpp"

extern "C" {
extern const char sluice_bpf_xdp_lb_begin[];
extern const char sluice_bpf_xdp_lb_end[];
}

namespace sluice::dataplane::xdp {

Result<Object> open_object() {
  LibbpfLog log;
  LIBBPF_OPTS(bpf_object_open_opts, options);
  options.object_name = "xdp_lb";
  Object object(bpf_object__open_mem(
      sluice_bpf_xdp_lb_begin,
      static_cast<std::size_t>(sluice_bpf_xdp_lb_end - sluice_bpf_xdp_lb_begin), &options));
  if (!object)
    return fail(Code::internal, "the BPF object cannot be opened: " + log.tail());
  const auto cpus = static_cast<std::uint32_t>(libbpf_num_possible_cpus());
  auto* stats = bpf_object__find_map_by_name(object.get(), "xdp_stats_map");
  if (!stats || bpf_map__set_max_entries(stats, cpus) != 0)
    return fail(Code::internal, "the BPF object has no map xdp_stats_map");
  return object;
}

std::string shared_name(const bpf_map* map) {
  const std::string name = bpf_map__name(map);
  return name.ends_with(".rodata") ? "" : name;
}

Result<Fd> load_program(const Maps& maps, std::uint32_t slot) {
  auto object = open_object();
  if (!object)
    return fail(object.error());
  LibbpfLog log;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object->get()) {
    const auto name = shared_name(map);
    const int error = name.empty() ? bpf_map__set_initial_value(map, &slot, sizeof slot)
                                   : bpf_map__reuse_fd(map, maps.fd(name));
    if (error)
      return fail(Code::internal,
                  std::string("the map ") + bpf_map__name(map) + " cannot be used: " + log.tail());
  }
  if (const int error = bpf_object__load(object->get()))
    return fail(Code::kernel, std::string("the kernel refuses the program: ") +
                                  std::strerror(-error) + "\n" + log.tail());
  const auto* program = bpf_object__find_program_by_name(object->get(), "xdp_lb");
  Fd fd(program ? fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 3) : -1);
  if (!fd)
    return fail(Code::internal, "the BPF object has no program xdp_lb");
  return fd;
}

Result<ProgramInfo> program_info(int fd) {
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
  return ProgramInfo{info.id, tag};
}

}  // namespace sluice::dataplane::xdp
