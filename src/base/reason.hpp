// Why the kernel refused, in words, with the cure where a limit of the process is the cause.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>

namespace sluice {

/// @param error a value of errno
inline std::string reason(int error) {
  const std::string text = std::strerror(error);
  if (error == EMFILE)
    return text + "; raise sluiced's limit of descriptors, for instance by systemd's LimitNOFILE=";
  if (error == ENOMEM)
    return text + "; give sluiced more memory, for instance by systemd's MemoryMax=";
  return text;
}

}  // namespace sluice
