// Sends what the fuzzers make out of an interface, well-formed, mutated and random frames, as fast
// as the link takes them: frame_sender INTERFACE DESTINATION-MAC COUNT [SEED]. Says how many went
// out.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "random_input.hpp"
#include "worlds.hpp"

int main(int count, char** arguments) {
  using namespace sluice;
  if (count < 4) {
    std::fprintf(stderr, "usage: frame_sender INTERFACE DESTINATION-MAC COUNT [SEED]\n");
    return 2;
  }
  const auto mac = MacAddress::parse(arguments[2]);
  const int socket = ::socket(AF_PACKET, SOCK_RAW, 0);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(if_nametoindex(arguments[1]));
  if (!mac || socket < 0 || to.sll_ifindex == 0) {
    std::fprintf(stderr, "frame_sender: no such interface or MAC address, or no rights\n");
    return 1;
  }
  const auto frames = std::strtoull(arguments[3], nullptr, 10);
  auto seed = (count > 4 ? std::strtoull(arguments[4], nullptr, 10) : 1) << 32;
  unsigned long long sent = 0, refused = 0;
  while (sent < frames) {
    // Each world's services are at the addresses that the lab has.
    const auto& world = fuzz::worlds()[sent / 1000 % 4];
    fuzz::Kitchen kitchen(world);
    for (const auto& recipe : fuzz::random_input(seed++, 1000).recipes) {
      auto bytes = kitchen.cook(recipe).bytes;
      std::uint8_t frame[1514];
      const auto size = std::min(bytes.size(), sizeof frame);  // no longer than the link's MTU
      std::copy_n(bytes.begin(), size, frame);
      if (recipe.router % 8)
        std::ranges::copy(mac->bytes, frame);
      while (sendto(socket, frame, size, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) {
        if (errno != ENOBUFS && errno != EAGAIN) {
          refused++;
          break;
        }
        usleep(100);
      }
      sent++;
    }
  }
  close(socket);
  std::printf("%llu\n", sent - refused);
  return 0;
}
