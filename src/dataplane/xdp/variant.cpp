#include "dataplane/xdp/variant.hpp"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>

namespace sluice::dataplane::xdp {

std::uint32_t mtu_of(std::uint32_t ifindex) {
  const Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  return if_indextoname(ifindex, request.ifr_name) && ioctl(any.get(), SIOCGIFMTU, &request) == 0
             ? static_cast<std::uint32_t>(request.ifr_mtu)
             : 0;
}

bool whatever_the_variant(int error) {
  return error == EBUSY || error == EEXIST || error == ENODEV || error == EPERM;
}

Result<LoadedProgram> offer(const LoadVariant& load, model::XdpMode mode, bool jumbo,
                            const Put& put) {
  std::optional<Error> first;
  for (const bool multi_buffer : {jumbo, !jumbo}) {
    if (multi_buffer && mode != model::XdpMode::DRV)
      break;
    auto program = load(multi_buffer);
    int refused = 0;
    auto done = program ? put(*program, refused) : fail(program.error());
    if (done)
      return program;
    if (!first)
      first = done.error();
    if (program && (refused == 0 || whatever_the_variant(refused)))
      break;
  }
  return tl::unexpected(*first);
}

}  // namespace sluice::dataplane::xdp
