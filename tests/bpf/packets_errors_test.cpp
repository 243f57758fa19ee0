// What should not occur: packets that lie about their length, tables that name what there is not.
// Each is counted with its cause, to the packet, and blamed on nobody else.
#include <bpf/bpf.h>
#include <net/if.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstring>

#include "dataplane/names.hpp"
#include "packets_fixture.hpp"

namespace sluice::test {

class PacketErrors : public PacketTest {
 protected:
  bool on_both() const override { return true; }
  void SetUp() override {
    PacketTest::SetUp();
    slots_ = mapped<std::uint32_t>(".bss.slots", SL_SLOT_ARENA + 2);
    fronts_ = mapped<sl_front>(".bss.front", 2);
  }

  /// Writes a backend's id over every slot of a pool.
  void name_in_slots(const std::string& pool, std::uint32_t id) {
    const auto table = running().tables.at(pool);
    std::fill_n(&slots_[table.base], table.slots.size(), id);
  }
  /// Moves the table of a service in the front that counts.
  void move_table(std::uint16_t port, const char* address, std::uint32_t base) {
    const auto image = running();
    const auto id = image.services.at({ip(address), port, model::Protocol::tcp}).id;
    sl_control control{};
    std::memcpy(&control, map_bytes(".bss.control").data(), sizeof control);
    for (auto& one : fronts_[control.active & 1].service)
      if (one.id == id)
        one.base = base;
  }
  /// Takes an interface's entry out of tx_ports.
  void lose(const std::string& interface) {
    sl_control control{};
    std::memcpy(&control, map_bytes(".bss.control").data(), sizeof control);
    const auto index = if_nametoindex(interface.c_str());
    const Fd ports(bpf_obj_get(folder().map("tx_ports").c_str()));
    for (std::uint32_t slot = 0; slot < SL_MAX_INTERFACES; slot++)
      if (control.interfaces[slot] == index) {
        EXPECT_EQ(bpf_map_delete_elem(ports.get(), &slot), 0);
        return;
      }
    ADD_FAILURE() << interface << " has no place";
  }
  /// An interface from which packets to backends must leave by another one.
  const char* other_arm() const { return one_armed() ? "out0" : "in0"; }

  /// Packets by the kind of error that their verdicts stand for.
  std::map<std::string, std::uint64_t> errors() {
    std::map<std::string, std::uint64_t> found;
    const auto counters = loader_->counters();
    EXPECT_TRUE(ok(counters));
    if (counters)
      for (const auto& [interface, counts] : counters->interfaces)
        for (const auto& one : counts)
          if (const auto error = dataplane::error_of(one.verdict, one.reason))
            found[std::string(error->kind)] += one.count.packets;
    return found;
  }
  dataplane::Traffic backend_traffic(std::uint16_t port, const char* address) {
    const auto counters = loader_->counters();
    EXPECT_TRUE(ok(counters));
    return counters ? counters->backends.at({"p" + std::to_string(port), ip(address), 0})
                    : dataplane::Traffic{};
  }

  std::shared_ptr<std::uint32_t[]> slots_;
  std::shared_ptr<sl_front[]> fronts_;
};
SLUICE_BOTH_ARMS(PacketErrors);

TEST_P(PacketErrors, TruncatedAndBadLengthPacketsAreCountedOneByOne) {
  std::vector<Bytes> bad;
  // Cut off behind every byte from the Ethernet header on.
  for (const auto& whole :
       {from_router().ip(client, vip).tcp(1, l2_port, ack).bytes(),
        from_router().ip(client, vip).udp(1, nat_port).payload(30).bytes(),
        from_router().tag(3).tag(4).ip(client, vip, {.option_words = 2}).udp(1, nat_port).bytes(),
        from_router().ip(client, vip).icmp(8).payload(20).bytes(),
        from_router().ip(client6, vip6).tcp(1, ipip_port, ack).bytes(),
        from_router().ip(client6, vip6).extension(60).udp(1, nat_port).bytes()})
    for (std::size_t size = 14; size < whole.size(); size++)
      bad.emplace_back(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
  // A length that is more than there is, less than the headers, or less than the IP header itself.
  const auto frame = from_router();
  for (const int error : {1, 9, 700, 60000}) {
    bad.push_back(Packet(frame).ip(client, vip, {.length_error = error}).udp(1, l2_port).bytes());
    bad.push_back(
        Packet(frame).ip(client6, vip6, {.length_error = error}).tcp(1, l2_port, ack).bytes());
  }
  for (const int error : {-1, -8, -20, -21, -39, -40})
    bad.push_back(
        Packet(frame).ip(client, vip, {.length_error = error}).tcp(1, l2_port, ack).bytes());
  for (const int error : {-1, -8, -20})
    bad.push_back(
        Packet(frame).ip(client6, vip6, {.length_error = error}).tcp(1, l2_port, ack).bytes());
  // Header lengths and versions that cannot be.
  for (const std::uint8_t first : Bytes{0x40, 0x44, 0x25, 0xf5}) {
    bad.push_back(Packet(frame).ip(client, vip).tcp(1, l2_port, ack).payload(40).bytes());
    bad.back()[14] = first;
  }
  for (const auto& one : bad)
    EXPECT_EQ(run("in0", one).verdict, 2u) << "only the kernel may judge it" << dump(one, one);
  EXPECT_EQ(errors(), (std::map<std::string, std::uint64_t>{{"malformed", bad.size()}}));
  EXPECT_EQ(loader_->get_stats().packets, bad.size());
}

TEST_P(PacketErrors, AllFiveActionsAreCountedExactly) {
  for (auto& one : config_.services)
    one.answerEcho = true;
  apply(config_, topology_);
  move_table(ipip_port, vip, SL_SLOT_ARENA + 1);
  struct Step {
    Packet packet;
    std::uint64_t times;
    std::string verdict, reason;
  };
  const auto to_vip = from_router().ip(client, vip);
  const Step steps[] = {
      {Packet(to_vip).tcp(1, ipip_port, ack), 2, "aborted", "table-bound"},
      {Packet(to_vip).tcp(1, empty_port, syn), 3, "drop", "no-backend"},
      {Packet(to_vip).tcp(1, no_port, syn), 5, "pass", "no-service"},
      {Packet(to_vip).icmp(8).payload(30), 7, "tx", "echo"},
      {Packet(to_vip).tcp(1, l2_port, ack), 11, "redirect", "dsr-l2"},
  };
  std::map<std::string, dataplane::Count> expected;
  for (const auto& step : steps) {
    const auto bytes = step.packet.bytes();
    for (std::uint64_t i = 0; i < step.times; i++)
      send(bytes, step.verdict, step.reason, other_arm());
    expected[other_arm() + (" " + step.verdict + " " + step.reason)] = {step.times,
                                                                        step.times * bytes.size()};
  }
  const auto counted = verdicts();
  ASSERT_EQ(counted.size(), expected.size());
  for (const auto& [name, count] : expected) {
    EXPECT_EQ(counted.at(name).packets, count.packets) << name;
    EXPECT_EQ(counted.at(name).bytes, count.bytes) << name;
  }
  EXPECT_EQ(loader_->get_stats().packets, 28u);
  EXPECT_EQ(loader_->get_stats().drops, 5u) << "dropped and aborted ones";
}

TEST_P(PacketErrors, ABackendThatThePoolHasNotIsAFailedLookup) {
  constexpr std::uint32_t id = SL_MAX_BACKENDS + 904;
  for (const char* pool : {"p81", "p82-6", "p80", "p80-6"})
    name_in_slots(pool, id);
  const auto in4 = from_router().ip(client, vip), in6 = from_router().ip(client6, vip6);
  check({
      {"dsr-l2", Packet(in4).tcp(1, l2_port, ack), "aborted", "missing-backend", {}},
      {"dsr-ipip, IPv6", Packet(in6).udp(1, ipip_port), "aborted", "missing-backend", {}},
      {"nat", Packet(in4).tcp(1, nat_port, syn), "aborted", "missing-backend", {}},
      {"nat, IPv6", Packet(in6).tcp(1, nat_port, syn), "aborted", "missing-backend", {}},
      {"a pool beside it", Packet(in4).tcp(1, ipip_port, ack), "forward", "dsr-ipip4",
       to_backend("10.0.1.31").ip(source, "10.0.1.31").ip(client, vip).tcp(1, ipip_port, ack)},
  });
  EXPECT_EQ(errors(), (std::map<std::string, std::uint64_t>{{"map-lookup", 4}}));
  EXPECT_EQ(service(l2_port).dropped, 1u);
  EXPECT_EQ(service(l2_port).packets, 0u);
  EXPECT_EQ(service(nat_port).dropped, 1u);
  // The id's low bits are another's.
  const auto stats = map_bytes("xdp_stats_map");
  for (std::size_t at = 0; at + sizeof(sl_stats) <= stats.size(); at += sizeof(sl_stats)) {
    sl_traffic other;
    std::memcpy(&other,
                stats.data() + at + offsetof(sl_stats, backend) +
                    (id % SL_MAX_BACKENDS) * sizeof other,
                sizeof other);
    EXPECT_EQ(other.dropped, 0u);
    EXPECT_EQ(other.packets, 0u);
  }
}

TEST_P(PacketErrors, ATableOutsideOfTheSlotsEndsTheProgramsRun) {
  for (const auto port : {l2_port, nat_port})
    for (const char* address : {vip, vip6})
      move_table(port, address, SL_SLOT_ARENA + 1);
  const auto in4 = from_router().ip(client, vip), in6 = from_router().ip(client6, vip6);
  check({
      {"dsr-l2", Packet(in4).tcp(1, l2_port, ack), "aborted", "table-bound", {}},
      {"dsr-l2, IPv6", Packet(in6).tcp(1, l2_port, ack), "aborted", "table-bound", {}},
      {"nat", Packet(in4).tcp(1, nat_port, syn), "aborted", "table-bound", {}},
      {"nat, IPv6", Packet(in6).tcp(1, nat_port, syn), "aborted", "table-bound", {}},
  });
  EXPECT_EQ(errors(), (std::map<std::string, std::uint64_t>{{"program", 4}}));
  EXPECT_EQ(service(l2_port).dropped, 1u);
}

TEST_P(PacketErrors, AnInterfaceThatTheDevmapHasNotIsAFailedLookup) {
  const auto in4 = from_router().ip(client, vip), in6 = from_router().ip(client6, vip6);
  // A flow of nat, so that there is a reply for the interface that its client came by.
  const auto request = run(other_arm(), Packet(in4).tcp(40000, nat_port, syn).bytes());
  ASSERT_EQ(request.verdict, 4u);
  const auto port = static_cast<std::uint16_t>(request.packet[34] << 8 | request.packet[35]);
  const auto reply = Packet()
                         .ether(mac_of("10.0.1.11"), out_mac)
                         .ip("10.0.1.11", source)
                         .tcp(nat_port, port, syn | ack)
                         .bytes();
  lose("in0");
  lose("out0");
  const auto lost = [&](const Bytes& packet, const std::string& interface) {
    send(packet, "drop", "missing-interface", interface);
  };
  lost(Packet(in4).tcp(1, l2_port, syn).bytes(), other_arm());
  lost(Packet(in6).tcp(1, ipip_port, ack).bytes(), other_arm());
  lost(Packet(in4).tcp(40000, nat_port, syn).bytes(), other_arm());
  lost(Packet(in6).tcp(1, nat_port, syn).bytes(), other_arm());
  lost(reply, way_out());
  EXPECT_EQ(errors(), (std::map<std::string, std::uint64_t>{{"map-lookup", 5}}));
  const auto l2 = service(l2_port), nat = service(nat_port);
  EXPECT_EQ(l2.packets, 0u) << "what did not leave was not forwarded";
  EXPECT_EQ(l2.dropped, 1u);
  EXPECT_EQ(l2.opened, 0u);
  EXPECT_EQ(nat.packets, 1u);
  EXPECT_EQ(nat.reply_packets, 0u);
  EXPECT_EQ(nat.dropped, 2u);
  EXPECT_EQ(backend_traffic(nat_port, "10.0.1.11").dropped, 2u);
}

TEST_P(PacketErrors, ABackendOutOfReachIsNamed) {
  for (int i = 0; i < 3; i++)
    send(from_router().ip(client, vip).tcp(1, lost_port, syn).bytes(), "drop", "unresolved");
  EXPECT_EQ(backend_traffic(lost_port, "10.0.1.51").unresolved, 3u);
  EXPECT_EQ(backend_traffic(l2_port, "10.0.1.21").unresolved, 0u);
  EXPECT_TRUE(errors().empty()) << "it is the backend's, and counted there";
}

}  // namespace sluice::test
