// sluice-lab-listen ADDRESS:PORT COMMAND …: opens a listening socket where it stands, then becomes
// COMMAND with the socket handed over as systemd does (LISTEN_FDS). So a daemon inside a namespace
// is reached from outside of it.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

#include "base/address.hpp"

namespace {

constexpr int first_passed_fd = 3;  // sd_listen_fds(3)

int say(const std::string& what) {
  std::cerr << "sluice-lab-listen: " << what << "\n";
  return 1;
}

int bind_to(int fd, const sluice::Endpoint& where) {
  if (where.address.is_v4()) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(where.port);
    std::memcpy(&address.sin_addr, where.address.bytes().data() + 12, 4);
    return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(where.port);
  std::memcpy(&address.sin6_addr, where.address.bytes().data(), 16);
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3)
    return say("usage: sluice-lab-listen ADDRESS:PORT COMMAND [ARGUMENT …]");
  const auto where = sluice::parse_endpoint(argv[1]);
  if (!where || where->port == 0)
    return say(std::string(argv[1]) + " is not ADDRESS:PORT");
  const int fd = socket(where->address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM, 0);
  if (fd < 0)
    return say(std::string("no socket: ") + std::strerror(errno));
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind_to(fd, *where) != 0) {
    if (errno == EADDRINUSE)
      return say("port " + std::to_string(where->port) +
                 " is taken; end what listens there (ss -ltnp shows it) or choose another port");
    return say(std::string(argv[1]) + ": " + std::strerror(errno));
  }
  if (listen(fd, SOMAXCONN) != 0)
    return say(std::string("listen: ") + std::strerror(errno));
  if (fd != first_passed_fd) {
    if (dup2(fd, first_passed_fd) < 0)
      return say(std::string("dup2: ") + std::strerror(errno));
    close(fd);
  }
  setenv("LISTEN_FDS", "1", 1);
  setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
  execvp(argv[2], argv + 2);
  return say(std::string(argv[2]) + " cannot be run: " + std::strerror(errno));
}
