#include "dataplane/xdp/grace.hpp"

#include <bpf/bpf.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "base/fd.hpp"

namespace sluice::dataplane::xdp {

namespace {

/// The kernel waits for a grace period after every change of a map of maps.
void wait_by_map_of_maps() {
  const Fd inner(bpf_map_create(BPF_MAP_TYPE_ARRAY, "sluice_grace", 4, 4, 1, nullptr));
  LIBBPF_OPTS(bpf_map_create_opts, options);
  options.inner_map_fd = static_cast<std::uint32_t>(inner.get());
  const Fd outer(bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "sluice_grace", 4, 4, 1, &options));
  const std::uint32_t key = 0;
  const int value = inner.get();
  bpf_map_update_elem(outer.get(), &key, &value, BPF_ANY);
}

}  // namespace

void wait_for_readers() {
  // Refused where CPUs run without a tick (nohz_full).
  if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0)
    wait_by_map_of_maps();
}

}  // namespace sluice::dataplane::xdp
