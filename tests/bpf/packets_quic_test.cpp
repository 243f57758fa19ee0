// QUIC behind UDP services: packets whose connection id has a server's id in it go to that server,
// from whatever address they come (draft-ietf-quic-load-balancers, without encryption); all others
// by address and port, as if nobody knew of QUIC.
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>

#include "model/quic.hpp"
#include "packets_fixture.hpp"

namespace sluice::test {

namespace {

constexpr std::uint16_t plain_port = 92;
constexpr int servers = 5;
constexpr int nobody = 99;  ///< a server id that no backend has

/// One of the pools, and where its clients and their packets are.
struct Place {
  const char* name;
  std::uint16_t port;
  bool ipv6;
};
constexpr Place places[] = {
    {"l2", l2_port, false},      {"l2-6", l2_port, true},         {"ipip", ipip_port, false},
    {"ipip-6", ipip_port, true}, {"nat", nat_port, false},        {"nat-6", nat_port, true},
    {"keep", keep_port, false},  {"full", other_nat_port, false}, {"full-6", other_nat_port, true}};

std::string bytes_of(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

/// Four bytes, of a server that tests know by its number.
std::string server_id(int number) {
  return {'\x0a', '\0', '\x01', static_cast<char>(number)};
}

/// First octet, server id, nonce.
std::string connection_id(const std::string& server, int rotation = 0, std::size_t nonce = 4) {
  return static_cast<char>(rotation << 5 | static_cast<int>(server.size() + nonce)) + server +
         std::string(nonce, 'n');
}

/// RFC 8999: of a short header nothing is said but where the connection id is.
std::string short_header(const std::string& id) {
  return '\x40' + id + std::string(24, 'p');
}
std::string long_header(const std::string& id, const std::string& version = {0, 0, 0, 1},
                        char first = '\xe0') {
  return first + version + static_cast<char>(id.size()) + id + '\x04' + "from" +
         std::string(24, 'p');
}

}  // namespace

class PacketQuic : public PacketTest {
 protected:
  void SetUp() override {
    instance_ = "quic-" + std::to_string(getpid());
    open();
    add_interface("in0");
    add_interface("out0");
    config_.maglev.tableSize = 251;
    config_.xdp.interfaces = {{"in0", model::XdpMode::DRV}, {"out0", model::XdpMode::DRV}};
    for (const auto& place : places) {
      add_pool(place.name, place.ipv6, place.port);
      auto& added = pool(place.name);
      added.quic = {.serverIdLength = 4, .configRotation = 0};
      added.forwarding = place.port == ipip_port ? model::Forwarding::dsr_ipip
                         : place.port == nat_port || place.port == keep_port
                             ? model::Forwarding::nat
                             : model::Forwarding::dsr_l2;
      if (place.port == keep_port)
        added.preserveClientAddress = true;
      if (place.port == other_nat_port)
        added.connectionTracking = model::Tracking::full;
    }
    add_pool("plain", false, plain_port);
    change();
  }

  void add_pool(const std::string& name, bool ipv6, std::uint16_t port) {
    model::Pool pool;
    pool.name = name;
    pool.forwarding = model::Forwarding::dsr_l2;
    for (int number = 101; number < 101 + servers; number++) {
      // Those whose replies go by their own address are nobody else's.
      const auto last = std::to_string(number);
      auto one = backend(ipv6                ? "fd00:1::" + last
                         : port == keep_port ? "10.0.2." + last
                                             : "10.0.1." + last);
      if (name != "plain")
        one.quicServerId = hex(server_id(number));
      pool.backends.push_back(one);
    }
    config_.pools.push_back(pool);
    for (const auto protocol : {model::Protocol::tcp, model::Protocol::udp})
      config_.services.push_back(test::service("s" + std::to_string(config_.services.size()),
                                               ipv6 ? vip6 : vip, port, name, protocol));
  }
  static std::string hex(const std::string& bytes) {
    return model::server_id_to_string(
        std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
  }

  model::Pool& pool(std::string_view name) {
    return *std::ranges::find(config_.pools, name, &model::Pool::name);
  }
  model::Backend& server(std::string_view in_pool, int number) {
    return pool(in_pool).backends.at(static_cast<std::size_t>(number - 101));
  }
  void change() {
    const auto lost = lost_;
    topology_ = topology(config_, way_out());
    for (const auto& address : lost)
      topology_.next_hops.at(address).resolved = false;
    apply(config_, topology_);
    loader_->tick(now_);
    image_ = running();
  }
  /// Beyond the time after which any UDP flow is forgotten.
  void let_flows_go() { loader_->tick(now_ += 100); }

  /// The backend that a packet goes to, by its last number; 0: none.
  int where(const Packet& packet) {
    const auto outcome = run("in0", packet.bytes());
    for (const auto& [key, one] : image_.backends)
      if (outcome.verdict >= XDP_TX &&
          std::ranges::equal(one.destination_mac.bytes, std::span(outcome.packet).first(6)))
        return std::stoi(key.address.to_string().substr(key.address.to_string().size() - 3));
    return 0;
  }
  /// A client's datagram to a place's service; the n-th client has an address and a port of its
  /// own.
  static Packet datagram(const Place& place, int n, const std::string& payload) {
    const auto last = std::to_string(1 + n % 250);
    return from_router()
        .ip(place.ipv6 ? "2001:db8::" + last : "192.0.2." + last, place.ipv6 ? vip6 : vip)
        .udp(static_cast<std::uint16_t>(10000 + 7 * n), place.port)
        .payload(payload);
  }
  int where(const Place& place, int n, const std::string& payload) {
    return where(datagram(place, n, payload));
  }
  /// Where the n-th client's datagrams go that nobody understands, and its flow is forgotten again.
  int by_hash(const Place& place, int n) {
    const int home = where(place, n, "nothing of QUIC, but as long as a packet of it would be");
    EXPECT_NE(home, 0);
    let_flows_go();
    return home;
  }
  /// Any server but this one.
  static int other_than(int number) { return number == 101 ? 102 : 101; }
  /// The packet is of the n-th client, and names somebody whom its address does not lead to.
  void goes_by_hash(const Place& place, int n, const std::string& payload, const char* why) {
    SCOPED_TRACE(why);
    const int home = by_hash(place, n);
    EXPECT_EQ(where(place, n, payload), home);
    let_flows_go();
  }

  std::uint32_t now_ = 1'000'000;
  std::set<IpAddress> lost_;
  planner::Image image_;
};
// Which way they leave by is shown elsewhere.
INSTANTIATE_TEST_SUITE_P(Arms, PacketQuic, testing::Values(false));

TEST_P(PacketQuic, AConnectionStaysWithItsServerWhateverAddressItsClientHas) {
  for (const auto& place : places) {
    SCOPED_TRACE(place.name);
    std::set<int> homes;
    for (int n = 0; n < 20; n++)
      homes.insert(by_hash(place, n));
    EXPECT_GT(homes.size(), 1u) << "address and port lead all clients to one backend anyway";
    for (int number = 101; number < 101 + servers; number++)
      for (int n = 0; n < 20; n++) {
        const auto id = connection_id(server_id(number), 0, n % 2 ? 4 : 15);
        EXPECT_EQ(where(place, n, short_header(id)), number) << "client " << n;
        let_flows_go();
        EXPECT_EQ(where(place, n, long_header(id)), number) << "client " << n;
        let_flows_go();
      }
  }
}

TEST_P(PacketQuic, TheDraftsOwnConnectionIdsNameTheirServers) {
  // Appendix B.1 of the draft, version 21, with the zeros that its text leaves out.
  const struct {
    std::uint8_t rotation;
    std::string server, id;
  } vectors[] = {{0, "c4605e", "07c4605e4504cc4f"}, {1, "350d28b420", "2a350d28b42003487d970b"}};
  for (const auto& vector : vectors) {
    auto& web = pool("l2");
    web.quic = {.serverIdLength = static_cast<std::uint8_t>(vector.server.size() / 2),
                .configRotation = vector.rotation};
    for (auto& one : web.backends)
      one.quicServerId = std::string(vector.server.size(), 'b')
                             .replace(0, 2, hex({static_cast<char>(&one - web.backends.data())}));
    const int home = by_hash(places[0], 1);
    const int named = other_than(home);
    server("l2", named).quicServerId = vector.server;
    change();
    EXPECT_EQ(where(places[0], 1, short_header(bytes_of(vector.id))), named);
    EXPECT_EQ(where(places[0], 1, long_header(bytes_of(vector.id))), named);
  }
}

TEST_P(PacketQuic, WhatNamesNobodyGoesByAddressAndPort) {
  for (const auto& place : places) {
    SCOPED_TRACE(place.name);
    const int home = by_hash(place, 3);
    const auto named = server_id(other_than(home));
    for (const auto& header :
         {short_header, +[](const std::string& id) { return long_header(id); }}) {
      goes_by_hash(place, 3, header(connection_id(server_id(nobody))), "no server has this id");
      for (int rotation = 1; rotation <= 7; rotation++)
        goes_by_hash(place, 3, header(connection_id(named, rotation)), "another configuration's");
      goes_by_hash(place, 3, header(connection_id(named.substr(0, 3))), "a shorter id");
      goes_by_hash(place, 3, header('\x08' + std::string("\0", 1) + named), "shifted by one");
    }
    goes_by_hash(place, 3, "", "no payload at all");
    goes_by_hash(place, 3, "\x40", "ends before the connection id");
    goes_by_hash(place, 3, '\x40' + connection_id(named).substr(0, 4), "ends within the server id");
    goes_by_hash(place, 3, "\xe0", "a long header that ends at once");
    goes_by_hash(place, 3, long_header(connection_id(named)).substr(0, 5), "ends with the version");
    goes_by_hash(place, 3, long_header(connection_id(named)).substr(0, 10), "ends within the id");
    goes_by_hash(place, 3, long_header(connection_id(named).substr(0, 4)) + "more",
                 "a connection id that is too short for a server's");
    goes_by_hash(place, 3, long_header(""), "a connection id without a byte");
    EXPECT_EQ(where(place, 3, short_header(connection_id(named))), named[3]) << "the test's own id";
    let_flows_go();
  }
}

TEST_P(PacketQuic, ExactlyTheServerIdIsEnough) {
  const auto& place = places[0];
  const int named = other_than(by_hash(place, 5));
  const auto id = connection_id(server_id(named)).substr(0, 5);
  EXPECT_EQ(where(place, 5, '\x40' + id), named);
  EXPECT_EQ(where(place, 5, "\xc0" + std::string(4, '\0') + '\x05' + id), named);
}

TEST_P(PacketQuic, OnlyTheDatagramItselfIsRead) {
  const auto& place = places[0];
  const int home = by_hash(place, 5);
  const auto named = short_header(connection_id(server_id(other_than(home))));
  auto frame = datagram(place, 5, named).bytes();
  frame[39] = 8 + 5;  // UDP says that it ends within the server id
  const auto to_home = run("in0", frame).packet;
  EXPECT_TRUE(std::ranges::equal(std::span(to_home).first(6),
                                 mac_of("10.0.1." + std::to_string(home)).bytes));
  auto padded = datagram(place, 5, named.substr(0, 5)).bytes();
  for (const char byte : named.substr(5))  // behind the IP packet's end
    padded.push_back(static_cast<std::uint8_t>(byte));
  const auto also_home = run("in0", padded).packet;
  EXPECT_TRUE(std::ranges::equal(std::span(also_home).first(6),
                                 mac_of("10.0.1." + std::to_string(home)).bytes));
}

TEST_P(PacketQuic, VersionAndBitsOfTheFirstByteAreNotLookedAt) {
  const auto& place = places[2];
  const int named = other_than(by_hash(place, 6));
  const auto id = connection_id(server_id(named));
  for (int first = 0; first < 256; first += 3) {
    const auto byte = static_cast<char>(first);
    const auto payload = first & 0x80 ? long_header(id, "\x6b\x33\x43\xcf", byte)
                                      : byte + short_header(id).substr(1);
    EXPECT_EQ(where(place, 6, payload), named) << first;
  }
  for (int bits = 0; bits < 32; bits++)
    EXPECT_EQ(where(place, 6, short_header(static_cast<char>(bits) + id.substr(1))), named)
        << "the first octet's last bits are the server's";
}

TEST_P(PacketQuic, OptionsTagsAndExtensionHeadersHideNothing) {
  const int named = other_than(by_hash(places[0], 7)), named6 = other_than(by_hash(places[1], 7));
  const auto payload = short_header(connection_id(server_id(named)));
  const auto payload6 = short_header(connection_id(server_id(named6)));
  const auto port = static_cast<std::uint16_t>(10000 + 7 * 7);
  EXPECT_EQ(where(from_router()
                      .tag(3)
                      .tag(4)
                      .ip("192.0.2.8", vip, {.option_words = 10})
                      .udp(port, l2_port)
                      .payload(payload)),
            named);
  EXPECT_EQ(where(from_router()
                      .ip("2001:db8::8", vip6)
                      .extension(0)
                      .extension(60, 3)
                      .udp(port, l2_port)
                      .payload(payload6)),
            named6);
}

TEST_P(PacketQuic, FragmentsFollowTheFirst) {
  config_.xdp.fragments = model::Fragments::reassemble;
  change();
  const int named = other_than(by_hash(places[0], 8));
  const auto payload = short_header(connection_id(server_id(named)));
  EXPECT_EQ(where(from_router()
                      .ip("192.0.2.9", vip, {.id = 7, .fragment = 0x2000})
                      .udp(10000 + 7 * 8, l2_port)
                      .payload(payload)),
            named);
  EXPECT_EQ(where(from_router()
                      .ip("192.0.2.9", vip, {.id = 7, .fragment = 6, .protocol = std::uint8_t{17}})
                      .payload(64)),
            named);
}

TEST_P(PacketQuic, OtherServicesKnowNothingOfIt) {
  const Place plain{"plain", plain_port, false};
  for (int number = 101; number < 101 + servers; number++)
    goes_by_hash(plain, 4, short_header(connection_id(server_id(number))), "a pool without QUIC");
  for (int n = 0; n < 20; n++) {
    const auto segment = [&](const std::string& payload) {
      return where(from_router()
                       .ip(client, vip)
                       .tcp(static_cast<std::uint16_t>(20000 + n), l2_port, ack)
                       .payload(payload));
    };
    const int home = segment("");
    EXPECT_EQ(segment(short_header(connection_id(server_id(other_than(home))))), home)
        << "a TCP service of the same pool";
  }
}

TEST_P(PacketQuic, APoolsIdsAreItsOwn) {
  for (auto& one : pool("ipip").backends)  // those of l2, the other way round
    one.quicServerId =
        hex(server_id(2 * 101 + servers - 1 - std::stoi(one.ip.to_string().substr(7))));
  server("nat", 101).quicServerId = hex(server_id(nobody));
  change();
  for (int number = 101; number < 101 + servers; number++) {
    const auto payload = short_header(connection_id(server_id(number)));
    EXPECT_EQ(where(places[0], 9, payload), number);
    EXPECT_EQ(where(places[2], 9, payload), 2 * 101 + servers - 1 - number);
  }
  EXPECT_EQ(where(places[4], 9, short_header(connection_id(server_id(nobody)))), 101);
  goes_by_hash(places[0], 9, short_header(connection_id(server_id(nobody))), "of another pool");
}

TEST_P(PacketQuic, IdsOfAnyLengthAndRotationNameTheirServer) {
  for (const std::uint8_t length : std::initializer_list<std::uint8_t>{1, 2, 8, 14, 15})
    for (const std::uint8_t rotation : std::initializer_list<std::uint8_t>{0, 6}) {
      auto& web = pool("l2");
      web.quic = {.serverIdLength = length, .configRotation = rotation};
      const auto id_of = [&](int number) {  // all but the last byte are the same
        return std::string(length - 1u, '\xff') + static_cast<char>(number);
      };
      for (int number = 101; number < 101 + servers; number++)
        server("l2", number).quicServerId = hex(id_of(number));
      change();
      for (int number = 101; number < 101 + servers; number++) {
        const auto id = connection_id(id_of(number), rotation);
        EXPECT_EQ(where(places[0], 10, short_header(id)), number) << int{length};
        EXPECT_EQ(where(places[0], 10, long_header(id)), number) << int{length};
      }
    }
}

TEST_P(PacketQuic, ADrainingServerKeepsItsConnectionsAndADeadOneHasNone) {
  for (const auto& place : places) {
    SCOPED_TRACE(place.name);
    const auto named = short_header(connection_id(server_id(103)));
    server(place.name, 103).drain = true;
    change();
    let_flows_go();
    for (int n = 0; n < 20; n++) {
      EXPECT_EQ(where(place, n, named), 103) << "the connection was left alone";
      let_flows_go();
    }
    server(place.name, 103).drain = false;
    server(place.name, 103).enabled = false;
    change();
    for (int n = 0; n < 20; n++) {
      const int home = by_hash(place, n);
      EXPECT_NE(home, 103);
      EXPECT_EQ(where(place, n, named), home) << "packets for a disabled backend";
      let_flows_go();
    }
    server(place.name, 103).enabled = true;
    lost_ = {server(place.name, 103).ip};
    change();
    EXPECT_EQ(where(place, 2, named), by_hash(place, 2)) << "packets for an unroutable backend";
    let_flows_go();
    lost_.clear();
    change();
    EXPECT_EQ(where(place, 2, named), 103);
    let_flows_go();
  }
}

TEST_P(PacketQuic, TheIdCountsWhileATableChanges) {
  const auto& place = places[0];
  std::map<int, int> homes;
  for (int n = 0; n < 100; n++)
    homes[n] = where(place, n, "old");
  server("l2", 104).drain = true;
  server("l2", 102).weight = 7;
  change();
  const auto& table = image_.tables.at("l2");
  ASSERT_FALSE(table.holders.empty()) << "no slot is in transition";
  for (int n = 0; n < 100; n++) {
    EXPECT_EQ(where(place, n, "old"), homes[n]) << "a flow that must stay";
    const int named = other_than(homes[n]);
    EXPECT_EQ(where(place, n, short_header(connection_id(server_id(named)))), named);
    EXPECT_EQ(where(place, n, "old"), homes[n]) << "another packet's id moved the flow";
  }
}

TEST_P(PacketQuic, WhereFlowsAreRememberedTheIdDecidesAboutNewOnes) {
  for (const auto& place : places) {
    if (place.port == l2_port || place.port == ipip_port)
      continue;
    SCOPED_TRACE(place.name);
    const int home = where(place, 11, "the flow's first");
    const auto named = short_header(connection_id(server_id(other_than(home))));
    EXPECT_EQ(where(place, 11, named), home) << "a flow that lives was torn apart";
    EXPECT_EQ(where(place, 12, named), other_than(home));
    EXPECT_EQ(where(place, 12, "and what comes after it"), other_than(home));
    let_flows_go();
  }
}

TEST_P(PacketQuic, TurnsAndLoadsDoNotCountForAConnectionThatMoves) {
  for (const auto algorithm : {model::Algorithm::roundRobin, model::Algorithm::leastConnections})
    for (const char* name : {"nat", "full"}) {
      pool(name).algorithm = algorithm;
      change();
      const auto& place = *std::ranges::find(places, std::string_view(name), &Place::name);
      for (int n = 0; n < 20; n++)
        EXPECT_EQ(where(place, n, short_header(connection_id(server_id(105)))), 105);
      let_flows_go();
    }
}

TEST_P(PacketQuic, AFullServerKeepsItsConnectionsAndCountsThem) {
  for (const char* name : {"nat", "full"}) {
    SCOPED_TRACE(name);
    const auto& place = *std::ranges::find(places, std::string_view(name), &Place::name);
    server(name, 102).maxConnections = 2;
    change();
    const auto active = [&] {
      return loader_->counters()->backends.at({name, ip("10.0.1.102"), 0}).active;
    };
    for (std::uint32_t n = 0; n < 5; n++) {
      EXPECT_EQ(where(place, static_cast<int>(n), short_header(connection_id(server_id(102)))), 102)
          << "a connection broke because its client has a new address";
      EXPECT_EQ(active(), n + 1);
    }
    for (int n = 5; n < 40; n++)
      EXPECT_NE(where(place, n, "a new one"), 102);
    let_flows_go();
    for (int second = 0; second < 60; second++)  // in which all of the table is swept
      loader_->tick(++now_);
    EXPECT_EQ(active(), 0u) << "connections that have gone still count";
  }
}

TEST_P(PacketQuic, AnErrorAboutARememberedFlowReachesItsServer) {
  const auto& place = *std::ranges::find(places, std::string_view("full"), &Place::name);
  const int named = other_than(by_hash(place, 13));
  EXPECT_EQ(where(place, 13, short_header(connection_id(server_id(named)))), named);
  const auto sent = Packet().ip(vip, "192.0.2.14").udp(other_nat_port, 10000 + 7 * 13).payload(40);
  EXPECT_EQ(where(from_router().ip("198.51.100.1", vip).icmp(3, 4).quote(sent, 28)), named);
}

TEST_P(PacketQuic, ChangedIdsAreFollowedAtOnce) {
  const auto& place = places[0];
  const auto payload = short_header(connection_id(server_id(101)));
  EXPECT_EQ(where(place, 14, payload), 101);
  std::swap(server("l2", 101).quicServerId, server("l2", 105).quicServerId);
  change();
  EXPECT_EQ(where(place, 14, payload), 105);
  pool("l2").quic->configRotation = 5;
  change();
  goes_by_hash(place, 14, payload, "the old configuration's");
  EXPECT_EQ(where(place, 14, short_header(connection_id(server_id(101), 5))), 105);
  pool("l2").quic.reset();
  change();
  goes_by_hash(place, 14, short_header(connection_id(server_id(101), 5)), "QUIC is off");
  goes_by_hash(place, 14, short_header(connection_id(server_id(102), 5)), "QUIC is off");
}

TEST_P(PacketQuic, ADaemonThatStartsKnowsTheIdsAndWritesNothing) {
  pool("nat").quic = {.serverIdLength = 4, .configRotation = 6};
  change();
  const auto before = running();
  close();
  open();
  EXPECT_EQ(running(), before);
  EXPECT_EQ(running().tables.at("nat").quic, (planner::QuicImage{4, 6}));
  const auto plan = planner::make_plan(running(), config_, topology_);
  ASSERT_TRUE(ok(plan));
  EXPECT_TRUE(plan->empty()) << planner::describe(plan->steps.at(0));
}

TEST_P(PacketQuic, ADaemonThatWasKilledBeforeTheSwapIsFinishedByTheNext) {
  std::swap(server("l2", 101).quicServerId, server("l2", 102).quicServerId);
  pool("nat").quic->configRotation = 3;
  auto plan = planner::make_plan(running(), config_, topology_);
  ASSERT_TRUE(ok(plan));
  std::erase_if(plan->steps, [](const planner::Step& step) {
    return std::holds_alternative<planner::SwapFront>(step);
  });
  ASSERT_TRUE(ok(loader_->apply(*plan)));
  close();
  open();
  change();
  EXPECT_EQ(where(places[0], 15, short_header(connection_id(server_id(101)))), 102);
  EXPECT_EQ(where(places[4], 15, short_header(connection_id(server_id(101), 3))), 101);
}

}  // namespace sluice::test
