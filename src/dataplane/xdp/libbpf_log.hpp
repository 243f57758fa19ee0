// What libbpf says while it works, caught for our error messages instead of printed.
#pragma once

#include <string>

namespace sluice::dataplane::xdp {

/// While one lives, this thread's libbpf messages are collected.
class LibbpfLog {
 public:
  LibbpfLog();
  ~LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;

  /// The last lines, where a verifier's complaint stands.
  std::string tail(std::size_t lines = 12) const;
  /// The text of the kernel's extended acknowledgement, if one came; else empty.
  std::string kernel_message() const;
};

}  // namespace sluice::dataplane::xdp
