// Which variant of the program an interface takes: the plain one, or the one for frames in several
// buffers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "model/config.hpp"

namespace sluice::dataplane::xdp {

/// A loaded program with what it says of itself.
struct LoadedProgram {
  Fd program;
  std::string version;
};

/// Loads a variant of the program that is to be put on an interface. Which one is put there the MTU
/// proposes and the driver decides: the other one is asked for where the kernel refuses the first.
using LoadVariant = std::function<Result<LoadedProgram>(bool multi_buffer)>;
/// Gives the kernel a program, and sets the errno with which it refuses it.
using Put = std::function<Result<void>(const LoadedProgram&, int& refused)>;

/// The interface's own MTU; 0: it has gone.
std::uint32_t mtu_of(std::uint32_t ifindex);

/// Where the kernel gives this errno, another variant of the program would fare no better.
bool whatever_the_variant(int error);

/// Offers the variant that the interface's MTU asks for. Where the driver does not take it, or it
/// cannot be had, the other: on a veth the MTU of the far end counts, which we do not see, and some
/// drivers take large frames in one buffer only.
Result<LoadedProgram> offer(const LoadVariant& load, model::XdpMode mode, bool jumbo,
                            const Put& put);

}  // namespace sluice::dataplane::xdp
