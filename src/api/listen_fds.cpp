#include "api/listen_fds.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>

namespace sluice::api {

namespace {

constexpr int first_fd = 3;  // SD_LISTEN_FDS_START

std::optional<int> number(const std::optional<std::string>& text) {
  int value = 0;
  if (!text || text->empty())
    return std::nullopt;
  const auto read = std::from_chars(text->data(), text->data() + text->size(), value);
  if (read.ec != std::errc() || read.ptr != text->data() + text->size())
    return std::nullopt;
  return value;
}

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::optional<std::string>(value) : std::nullopt;
}

}  // namespace

std::vector<int> listen_fds(const std::optional<std::string>& listen_pid,
                            const std::optional<std::string>& listen_fds, int pid) {
  const auto meant_for = number(listen_pid);
  const auto count = number(listen_fds);
  std::vector<int> fds;
  if (meant_for != pid || !count || *count < 0 || *count > 64)
    return fds;
  for (int i = 0; i < *count; i++)
    fds.push_back(first_fd + i);
  return fds;
}

std::vector<int> take_listen_fds() {
  auto fds = listen_fds(environment("LISTEN_PID"), environment("LISTEN_FDS"), getpid());
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
    unsetenv(name);
  for (const int fd : fds)
    fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fds;
}

}  // namespace sluice::api
