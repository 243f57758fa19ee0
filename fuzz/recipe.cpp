#include "recipe.hpp"

#include <algorithm>
#include <cstring>

namespace sluice::fuzz {

using namespace reference;

Input Input::from(std::span<const std::uint8_t> bytes) {
  Input input;
  if (bytes.empty())
    return input;
  input.world = bytes[0];
  input.recipes.resize((bytes.size() - 1) / sizeof(Recipe));
  if (!input.recipes.empty())
    std::memcpy(input.recipes.data(), &bytes[1], input.recipes.size() * sizeof(Recipe));
  return input;
}

std::vector<std::uint8_t> Input::bytes() const {
  std::vector<std::uint8_t> bytes(1 + recipes.size() * sizeof(Recipe), world);
  if (!recipes.empty())
    std::memcpy(&bytes[1], recipes.data(), recipes.size() * sizeof(Recipe));
  return bytes;
}

/// What a frame is to be, while it is written.
struct Kitchen::Plan {
  enum Kind : std::uint8_t { tcp, udp, icmp_error, echo, other, reply, raw } kind = tcp;
  bool ipv6 = false;
  std::uint8_t source[16]{}, destination[16]{};
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint8_t protocol = 6;
  std::size_t l3 = 14, l4 = 0;
  std::size_t next_header = 0;  ///< where the protocol is to be written
  bool later = false;
  const Served* served = nullptr;    ///< the nat flow whose backend speaks, or is spoken of
  const Service* service = nullptr;  ///< that it is for
};

namespace {

void put_ip(std::uint8_t* at, const IpAddress& address) {
  std::ranges::copy(Bytes(address.bytes()).subspan(address.is_v4() ? 12 : 0), at);
}

constexpr std::uint8_t tcp_flags[] = {0x02, 0x02, 0x12, 0x10, 0x10, 0x10, 0x10, 0x18,
                                      0x11, 0x11, 0x04, 0x14, 0x00, 0x03, 0x06, 0x29};

std::uint16_t client_port(const Recipe& recipe, bool familiar) {
  return static_cast<std::uint16_t>(recipe.port < 240 ? 1024 + recipe.port % (familiar ? 2 : 8)
                                                      : recipe.port * 257 + recipe.flags);
}

}  // namespace

std::uint32_t Kitchen::wait(const Recipe& recipe) const {
  static constexpr std::uint32_t seconds[] = {1,  1,  2,  3,  4,  4,  5,   8,
                                              10, 16, 29, 31, 48, 60, 300, 3600};
  if (recipe.wait < 248)
    return 0;
  const auto pause = seconds[recipe.sums % 16];
  return world_.familiar && pause > 16 && recipe.cut >= 32 ? 1 : pause;
}

bool Kitchen::changes(const Recipe& recipe) {
  return recipe.wait == 247 && recipe.cut < 128;
}

void Kitchen::put_ethernet(const Recipe& recipe, Plan& plan) {
  static constexpr std::uint8_t balancer[] = {2, 0, 0, 0, 9, 1};
  // A few routers; in the crowded world more than are remembered.
  const auto last =
      world_.crowded ? recipe.router : static_cast<std::uint8_t>(9 + recipe.router % 4);
  const std::uint8_t router[] = {2, 0, 0, 0, 9, last};
  std::ranges::copy(balancer, at(0));
  std::ranges::copy(router, at(6));
  if (recipe.router > 250)
    *at(0) |= 1;
  interface_ = recipe.router >> 4 & 1;
  size_ = 12;
  for (int tags = recipe.tags < 224   ? 0
                  : recipe.tags < 240 ? 1
                  : recipe.tags < 252 ? 2
                                      : 3;
       tags > 0; tags--) {
    put16(at(size_), recipe.tags & 1 ? 0x8100 : 0x88a8);
    put16(at(size_ + 2), recipe.tags * 16u);
    add(4);
  }
  put16(at(size_), plan.ipv6 ? 0x86dd : 0x0800);
  add(2);
  plan.l3 = size_;
}

void Kitchen::put_extensions(const Recipe& recipe, Plan& plan) {
  static constexpr std::uint8_t types[] = {0, 43, 60};
  const auto add_header = [&](std::uint8_t type, std::size_t length) {
    *at(plan.next_header) = type;
    plan.next_header = size_;
    std::fill_n(at(size_), length, std::uint8_t{0});
    add(length);
  };
  if (recipe.options >= 216)
    for (int i = recipe.options % 8; i > 0; i--) {
      const std::size_t more = recipe.options >= 240 ? recipe.flags % 8u : recipe.flags % 2u;
      add_header(types[(recipe.options + i) % 3], 8 * (more + 1));
      *at(plan.next_header + 1) = static_cast<std::uint8_t>(more);
    }
  if (recipe.fragment >= 216) {
    add_header(44, 8);
    const auto part = recipe.fragment % 4 == 0   ? 0u
                      : recipe.fragment % 4 == 1 ? 1u
                                                 : 8u * (recipe.fragment & 7);
    put16(at(plan.next_header + 2), part);
    put32(at(plan.next_header + 4), recipe.fragment / 4 % 8);
    plan.later = part & 0xfff8;
  }
}

void Kitchen::put_ip(const Recipe& recipe, Plan& plan) {
  auto* ip = at(plan.l3);
  if (plan.ipv6) {
    std::fill_n(ip, 8, std::uint8_t{0});
    ip[0] = 0x60;
    ip[1] = recipe.sums;
    ip[7] = recipe.cut;
    std::copy_n(plan.source, 16, ip + 8);
    std::copy_n(plan.destination, 16, ip + 24);
    add(40);
    plan.next_header = plan.l3 + 6;
    put_extensions(recipe, plan);
  } else {
    const std::size_t options = recipe.options < 216 ? 0 : recipe.options % 11u;
    std::fill_n(ip, 20 + 4 * options, std::uint8_t{1});
    ip[0] = static_cast<std::uint8_t>(0x45 + options);
    ip[1] = recipe.sums;
    put16(ip + 4, recipe.fragment / 4 % 8);
    put16(ip + 6, recipe.fragment < 216      ? 0x4000u
                  : recipe.fragment % 4 == 0 ? 0u
                  : recipe.fragment % 4 == 1 ? 0x2000u
                  : recipe.fragment % 4 == 2 ? 0x2000u + (recipe.fragment & 7)
                                             : 0u + (recipe.fragment & 7));
    plan.later = get16(ip + 6) & 0x1fff;
    ip[8] = recipe.cut;
    std::copy_n(plan.source, 4, ip + 12);
    std::copy_n(plan.destination, 4, ip + 16);
    add(20 + 4 * options);
    plan.next_header = plan.l3 + 9;
  }
  *at(plan.next_header) = plan.protocol;
  plan.l4 = size_;
}

void Kitchen::put_l4(const Recipe& recipe, Plan& plan) {
  auto* l4 = at(size_);
  const std::size_t length = plan.protocol == protocol_tcp ? 20 : 8;
  std::fill_n(l4, length, std::uint8_t{0});
  put16(l4, plan.source_port);
  put16(l4 + 2, plan.destination_port);
  if (plan.protocol == protocol_tcp) {
    l4[12] = 0x50;
    l4[13] = recipe.flags < 240 ? tcp_flags[recipe.flags % 16]
                                : static_cast<std::uint8_t>(recipe.flags << 2);
  }
  put16(l4 + (plan.protocol == protocol_tcp ? 16 : 6), recipe.sums * 257u);
  add(length);
}

/// Of an error: the packet that the service sent.
void Kitchen::put_icmp(const Recipe& recipe, Plan& plan) {
  static constexpr std::uint8_t types4[] = {3, 11, 12, 5}, types6[] = {1, 2, 3, 4};
  auto* message = at(size_);
  std::fill_n(message, 8, std::uint8_t{0});
  put16(message + 2, recipe.sums * 257u);
  add(8);
  if (plan.kind == Plan::echo) {
    message[0] = plan.ipv6 ? 128 : 8;
    if (recipe.flags > 240)
      message[recipe.flags & 1]++;
    return;
  }
  message[0] = (plan.ipv6 ? types6 : types4)[recipe.flags % 4];
  Plan quoted = plan;
  std::swap(quoted.source, quoted.destination);
  std::swap(quoted.source_port, quoted.destination_port);
  if (!plan.served)
    quoted.protocol = recipe.flags & 8 ? protocol_udp : protocol_tcp;
  else
    quoted.protocol = plan.served->protocol;
  quoted.l3 = size_;
  Recipe inner = recipe;
  inner.fragment = recipe.fragment % 216;  // the error itself may be one, or what it quotes
  if (recipe.sums % 32 == 5)
    inner.fragment = static_cast<std::uint8_t>(216 + recipe.fragment % 40);
  put_ip(inner, quoted);
  put_l4(recipe, quoted);
  if (plan.ipv6)
    put16(at(quoted.l3 + 4), 1000);
  else
    put16(at(quoted.l3 + 2), 1000);
  if (recipe.mutate % 8 == 1)
    size_ -= 12;  // eight bytes behind the header are enough
}

/// How a QUIC packet begins: most have a connection id that names one of the pool's servers.
void Kitchen::put_quic(const Recipe& recipe, const Service& service, std::size_t length) {
  const auto& pool = world_.pools[service.pool];
  if (!pool.server_id_length)
    return;
  const bool has_long_header = recipe.flags & 1;
  std::array<std::uint8_t, 32> start{};
  std::size_t size = 0;
  start[size++] = has_long_header ? 0xc0 : 0x40;
  if (has_long_header) {
    size += 4;
    start[size++] = static_cast<std::uint8_t>(pool.server_id_length + recipe.flags / 2 % 8);
  }
  const auto rotation = recipe.flags < 224 ? pool.config_rotation : recipe.flags % 8u;
  start[size++] = static_cast<std::uint8_t>(rotation << 5 | recipe.cut % 32u);
  const auto& id =
      world_.backends[pool.backends[recipe.flags / 16 % pool.backends.size()]].server_id;
  std::ranges::copy(id, &start[size]);
  if (recipe.port % 8 == 7)
    start[size]++;
  std::copy_n(start.begin(), std::min(size + id.size(), length), at(size_));
}

void Kitchen::put_payload(const Recipe& recipe, const Plan& plan) {
  const std::size_t length = recipe.length[0] < 216   ? recipe.length[1] % 48
                             : recipe.length[0] < 240 ? recipe.length[1] * std::size_t{3}
                                                      : 900 + recipe.length[1] * std::size_t{3};
  std::memset(at(size_), recipe.length[1], length);
  if (plan.protocol == protocol_udp && plan.service)
    put_quic(recipe, *plan.service, length);
  add(std::min(length, frame_.size() - size_));
}

/// Lengths, checksums, and then what spoils the frame.
void Kitchen::finish(const Recipe& recipe, const Plan& plan) {
  const auto ip_length = size_ - plan.l3;
  if (plan.ipv6)
    put16(at(plan.l3 + 4), ip_length - 40);
  else
    put16(at(plan.l3 + 2), ip_length);
  if (recipe.sums % 4 == 0) {
    const auto l4_length = size_ - plan.l4;
    if (!plan.ipv6) {
      put16(at(plan.l3 + 10), 0);
      put16(at(plan.l3 + 10), checksum(sum_of({at(plan.l3), plan.l4 - plan.l3})));
    }
    if (plan.protocol == protocol_tcp || plan.protocol == protocol_udp) {
      auto* field = at(plan.l4 + (plan.protocol == protocol_tcp ? 16 : 6));
      put16(field, 0);
      const std::size_t size = plan.ipv6 ? 16 : 4;
      put16(field, checksum(sum_of({at(plan.l4), l4_length}) +
                            pseudo_sum({plan.source, size}, {plan.destination, size}, plan.protocol,
                                       l4_length)));
    }
  }
  if (recipe.sums % 16 == 1)
    size_ = std::min(size_ + recipe.cut % 32, frame_.size());  // padding
  const std::size_t first = world_.few_routers ? 12 : 0;
  for (unsigned i = 0; recipe.mutate >= 208 && i <= recipe.mutate % 4u; i++)
    frame_[first + recipe.mutation[i].at % (std::min<std::size_t>(size_, 128) - first)] =
        recipe.mutation[i].value;
  if (recipe.mutate >= 200 && recipe.mutate < 212)
    size_ = 14 + recipe.cut * (size_ - 14u) / 256u;
}

Frame Kitchen::cook(const Recipe& recipe) {
  static constexpr Plan::Kind kinds[] = {Plan::tcp,        Plan::tcp,   Plan::tcp,   Plan::tcp,
                                         Plan::tcp,        Plan::udp,   Plan::udp,   Plan::udp,
                                         Plan::udp,        Plan::reply, Plan::reply, Plan::reply,
                                         Plan::icmp_error, Plan::echo,  Plan::other, Plan::raw};
  Plan plan;
  plan.kind = kinds[recipe.kind % 16];
  const auto& service = world_.services[recipe.service * world_.services.size() / 256];
  plan.ipv6 = !service.address.is_v4();
  plan.service = &service;
  if (plan.kind == Plan::reply && (served_.empty() || recipe.kind > 248u))
    plan.kind = Plan::tcp;

  fuzz::put_ip(plan.destination, service.address);
  const std::uint8_t low = recipe.client & (world_.familiar ? 3 : 15);
  if (plan.ipv6) {
    const std::uint8_t client[] = {0x20, 1, 0xd,
                                   static_cast<std::uint8_t>(0xb8 + (recipe.client >> 7))};
    std::ranges::copy(client, plan.source);
    plan.source[15] = low;
  } else {
    // In the crowded world the addresses end like those of the backends.
    const std::uint8_t client[] = {
        192, world_.crowded ? low : std::uint8_t{0},
        static_cast<std::uint8_t>(world_.crowded ? 1 : 2 + (recipe.client >> 7)),
        static_cast<std::uint8_t>(world_.crowded ? recipe.client & 16 ? 11 : 7 : low)};
    std::ranges::copy(client, plan.source);
  }
  if (recipe.client == 127)
    std::fill_n(plan.source, 16, std::uint8_t{0});
  if (recipe.client == 126)
    plan.source[0] = 255;
  plan.source_port = client_port(recipe, world_.familiar);
  plan.destination_port = service.last_port
                              ? static_cast<std::uint16_t>(service.first_port + recipe.port % 120u)
                          : service.first_port ? service.first_port
                                               : static_cast<std::uint16_t>(recipe.port * 257u);
  plan.protocol = service.udp ? protocol_udp : protocol_tcp;
  if (plan.kind == Plan::tcp && recipe.kind > 240)
    plan.protocol = protocol_tcp;

  if (plan.kind == Plan::raw) {
    put_ethernet(recipe, plan);
    for (std::size_t i = 12; i < std::size_t{14} + recipe.length[1]; i++)
      frame_[i] =
          static_cast<std::uint8_t>(recipe.mutation[i % 4].value + i * recipe.mutation[i % 4].at);
    size_ = 14 + recipe.length[1];
    if (recipe.length[0] & 1)
      put16(at(12), recipe.length[0] & 2 ? 0x0800 : 0x86dd);
  } else {
    if (plan.kind == Plan::other) {
      switch (recipe.flags % 4) {
      case 0:
        plan.destination_port = 7;
        break;
      case 1:
        plan.destination[plan.ipv6 ? 15 : 3] ^= 3;
        break;
      case 2:
        plan.protocol = recipe.mutation[0].value;
        break;
      case 3: {  // from or to what nat uses
        const auto& backend = world_.backends[1 + recipe.port % (world_.backends.size() - 1)];
        if (backend.forwarding != Forwarding::nat)
          break;
        plan.ipv6 = backend.ipv6();
        fuzz::put_ip(plan.source, backend.address);
        if (!backend.preserve_client_address)
          fuzz::put_ip(plan.destination, backend.from);
        plan.destination_port = static_cast<std::uint16_t>(20000 + recipe.client * 60u);
        break;
      }
      }
    }
    // An error about a flow of nat comes from either side.
    const bool of_backend = plan.kind == Plan::icmp_error && recipe.kind & 0x80 && !served_.empty();
    if (plan.kind == Plan::reply || of_backend) {
      const auto& served =
          served_[(recipe.client + recipe.port * std::size_t{256}) % served_.size()];
      plan.served = &served;
      plan.ipv6 = served.ipv6;
      std::ranges::copy(served.destination, plan.source);
      std::ranges::copy(served.source, plan.destination);
      plan.source_port = served.destination_port;
      plan.destination_port = served.source_port;
      plan.protocol = served.protocol;
    }
    if (plan.kind == Plan::icmp_error || plan.kind == Plan::echo)
      plan.protocol = plan.ipv6 ? icmp6 : icmp4;
    put_ethernet(recipe, plan);
    if (plan.served && recipe.router < 200)
      interface_ = plan.served->interface;
    put_ip(recipe, plan);
    if (plan.protocol == protocol_tcp || plan.protocol == protocol_udp)
      put_l4(recipe, plan);
    else if (plan.kind == Plan::icmp_error || plan.kind == Plan::echo)
      put_icmp(recipe, plan);
    put_payload(recipe, plan);
    finish(recipe, plan);
  }
  static constexpr unsigned headrooms[] = {0, 24, 28, 40, 44};
  const unsigned headroom = recipe.headroom < 248 ? 216 : headrooms[recipe.headroom % 5];
  return {{frame_.data(), size_}, interface_, headroom};
}

void Kitchen::taste(const Outcome& outcome) {
  if (outcome.reason != SL_REASON_NAT || outcome.bytes.size() < 54)
    return;
  const auto ethernet = read_ethernet(outcome.bytes);
  if (!ethernet)
    return;
  const auto ip = outcome.bytes.subspan(ethernet->l3);
  Served served{};
  served.ipv6 = ethernet->ipv6;
  const std::size_t header = served.ipv6 ? 40 : (ip[0] & 15u) * 4u;
  if (ip.size() < header + 8)
    return;
  std::ranges::copy(source_of(ip, served.ipv6), served.source.begin());
  std::ranges::copy(destination_of(ip, served.ipv6), served.destination.begin());
  served.protocol = ip[served.ipv6 ? 6 : 9];
  served.source_port = get16(&ip[header]);
  served.destination_port = get16(&ip[header + 2]);
  served.interface = outcome.action == Action::tx ? interface_ : 1 - interface_;
  if (served_.size() < 256)
    served_.push_back(served);
  else
    served_[next_served_++ % 256] = served;
}

}  // namespace sluice::fuzz
