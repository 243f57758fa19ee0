// The packet path as a specification: from a configuration, what is remembered, and a frame, to the
// verdict, the reason, what is counted and every byte that leaves. Written from docs/operations.md,
// docs/tracking.md and the RFCs; searched and summed anew for each packet, never by increments.
//
// Where the data plane is free to choose, what it chose is looked at and must be allowed:
//   - which free port of ours a nat flow gets;
//   - that it finds none, if a quarter of them is taken;
//   - with sixteen routers or more, whether a reply follows its client's frames or the kernel's
//   route;
//   - a datagram's first fragment may be followed again 18 hours later, for half a minute;
//   - in a crowded world, whether a nat flow was forgotten or is refused;
//   - which of several backends gets a flow that may go to any of them.
// Slots of a table in transition, and their records, are tests/unit/transition_reference.hpp.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "abi.h"
#include "directory.hpp"
#include "headers.hpp"
#include "nat.hpp"
#include "tracking.hpp"
#include "transition_reference.hpp"

namespace sluice::reference {

struct Frame {
  Bytes bytes;
  unsigned interface = 0;   ///< where it arrived
  unsigned headroom = 216;  ///< bytes that it may grow by at its front
};

enum class Action : std::uint8_t { aborted, drop, pass, tx, redirect };

/// What became of a frame.
struct Outcome {
  Action action = Action::aborted;
  sl_reason reason = SL_REASON_BUG;
  Bytes bytes;
  Bytes meta;  ///< what stands before a packet that passes beyond a limit
};

/// All that is counted.
struct Counters {
  sl_counter verdict[SL_MAX_INTERFACES][SL_VERDICTS][SL_REASONS];
  sl_traffic service[SL_MAX_SERVICES];
  sl_traffic backend[SL_MAX_BACKENDS];
};

class Model {
 public:
  /// @param program_backends the program's counters, by id: they tell whom it chose where it may
  /// choose
  explicit Model(const sl_traffic* program_backends);

  /// A new world, of which nothing is remembered. Counters go on. Refers to `world`.
  void load(const World& world);
  /// The world changes to one with the same services and backends; what is remembered stays.
  void change(const World& world);
  /// The clock, in seconds.
  void set_time(std::uint32_t now) { now_ = now; }

  /// Whether this may have become of the frame; remembers and counts what follows from it.
  /// @return what is wrong, empty if nothing is
  std::string judge(const Frame& frame, const Outcome& seen);
  /// What the last frame should have become.
  Outcome expected() const;
  const Counters& counters() const { return *counters_; }
  void clear_counters() { *counters_ = {}; }
  /// Flows that count for a backend.
  std::uint32_t active(std::uint16_t backend) const { return tracking_.active[backend]; }
  /// What services and backends got is the program's from now on: after a world in which some of it
  /// cannot be known.
  void believe(const sl_traffic* services, const sl_traffic* backends);
  /// The service and the backend that the last frame was counted for; 0: none.
  std::uint16_t last_service() const { return answer_.service; }
  std::uint16_t last_backend() const { return answer_.backend; }
  /// Frames of a service so far, whatever became of them, and frames in all.
  std::uint64_t for_a_service() const { return for_a_service_; }
  /// The backend whose flow the last frame opened or closed; 0: none.
  std::uint16_t last_edge_of() const { return answer_.edge_of; }

 private:
  enum class Counted : std::uint8_t { nothing, forwarded, reply, dropped };
  /// What the reference says of a frame.
  struct Answer {
    Action action = Action::aborted;
    sl_reason reason = SL_REASON_BUG;
    bool changed = false;  ///< its bytes are those of out_
    Counted counted = Counted::nothing;
    std::uint16_t service = 0, backend = 0;
    std::uint16_t edge_of = 0;  ///< the backend whose flow it opens or closes
    bool opened = false, closed = false;
    bool edges_unknown = false;  ///< whether it opens or closes cannot be told
  };
  /// A frame, read as far as it can be.
  struct Parsed {
    Frame frame;
    Bytes ip;  ///< from the IP header to the end of the frame
    std::size_t l3 = 0, l4 = 0, ip_length = 0;
    bool ipv6 = false;
    std::uint8_t protocol = 0, tcp_flags = 0;
    std::uint16_t source_port = 0, destination_port = 0;
    const Directory::Address* to = nullptr;
    const Service* service = nullptr;
    Bytes client;  ///< the client's address, of a packet for a service or about a flow
    std::uint64_t hash = 0;
    std::size_t fragment = 0;  ///< where the header is that says so; 0: it is whole
    bool later = false;        ///< a fragment, not the first of its datagram

    bool for_vip() const { return to->kind == Directory::Kind::vip; }
    Bytes source() const { return source_of(ip, ipv6); }
    Bytes destination() const { return destination_of(ip, ipv6); }
    bool opens() const { return (tcp_flags & (flag_syn | flag_ack)) == flag_syn; }
    bool closes() const { return tcp_flags & (flag_fin | flag_rst); }
  };
  using End = std::optional<Answer>;  ///< nothing: the packet goes on

  static Answer pass(sl_reason reason) { return {.action = Action::pass, .reason = reason}; }
  static Answer drop(sl_reason reason) { return {.action = Action::drop, .reason = reason}; }

  // model.cpp: from a frame to a service, a reply or an end
  Answer answer(const Frame& frame, const Outcome& seen);
  End read_ip4(Parsed& packet);
  End read_ip6(Parsed& packet);
  End judge_fragment(const Parsed& packet) const;
  End read_ports(Parsed& packet);
  Answer deliver(Parsed& packet, const Outcome& seen);
  const Pool& pool_of(const Service& service) const { return world_->pools[service.pool]; }
  bool is_nat(const Service& service) const;
  static bool is_icmp(std::uint8_t protocol) { return protocol == icmp4 || protocol == icmp6; }
  std::uint64_t hash_of(const Service& service, Bytes client, std::uint16_t client_port,
                        std::uint16_t service_port) const;

  // forward.cpp: to a backend by direct return, out of an interface, or not at all
  std::uint16_t named(const Parsed& packet) const;
  /// Where a packet by direct return goes, and whether that opens or closes its flow.
  struct Placed {
    std::uint16_t id = 0;
    bool opened = false, closed = false;
    Answer with_edges(Answer answer) const;
  };
  End select(const Parsed& packet, std::uint16_t& id);
  End place(const Parsed& packet, const Outcome& seen, Placed& placed);
  Answer forward(const Parsed& packet, const Outcome& seen);
  Answer in_its_place(const Parsed& packet, const Service& service, const Placed& placed);
  Answer forward_to(const Parsed& packet, const Service& service, std::uint16_t id);
  Answer send(const Parsed& packet, std::uint8_t interface, sl_reason reason) const;
  Answer refuse(const Parsed& packet, std::uint16_t id);
  Answer tell(const Parsed& packet, const Backend& backend);
  static bool may_be_answered(const Parsed& packet);
  Answer dropped(Answer answer, std::uint16_t service, std::uint16_t backend) const;

  // icmp.cpp
  Answer icmp(Parsed& packet, const Outcome& seen);
  Answer icmp_error(Parsed& packet, const Outcome& seen);
  Answer echo(const Parsed& packet);

  // fragments.cpp: those that are followed
  struct Datagram {
    std::uint16_t backend = 0;  ///< 0: the kernel's
    const Service* service = nullptr;
    std::uint64_t hash = 0;
    std::uint32_t seen = 0;
  };
  std::string datagram_key(const Parsed& packet) const;
  Answer first_fragment(Parsed& packet, const Outcome& seen, End end);
  Answer later_fragment(Parsed& packet);

  // choose.cpp
  std::uint16_t owner(const Parsed& packet) const;
  bool has_room(std::uint16_t id) const;
  std::uint16_t next_in_turn(const Service& service);
  std::uint16_t observed(const std::vector<std::uint16_t>& may) const;
  static Tuple client_of(const Parsed& packet);
  std::uint16_t backend_of_client(const Parsed& packet) const;
  void note_client(const Parsed& packet, std::uint16_t backend);
  void keep_least_loaded(std::vector<std::uint16_t>& may) const;
  End choose(const Parsed& packet, const Outcome& seen, bool counts, std::uint16_t& id);

  // tracking.cpp
  static Tuple tracked_key(const Parsed& packet);
  bool is_of(const Parsed& packet, const TrackedFlow& flow) const;
  End track(const Parsed& packet, const Outcome& seen, Placed& placed);

  // limits.cpp
  Answer excess(const Parsed& packet) const;
  End admit(const Parsed& packet, const Service& service);
  End hold_back(const Parsed& packet, std::uint16_t id);
  std::string compare_mark(const Outcome& seen) const;

  // nat.cpp
  struct Rewritten {
    Bytes source, destination;
    std::uint16_t source_port, destination_port;
  };
  void rewrite(const Parsed& packet, const Rewritten& as);
  static bool is_over(const Flow& flow, std::uint32_t now, bool of_reply);
  bool is_plain(const Parsed& packet, const Flow& flow);
  void count_end(const Flow& flow, bool counted);
  void forget(Flow& flow);
  Answer nat(const Parsed& packet, const Outcome& seen);
  Answer nat_to(const Parsed& packet, const Outcome& seen, Flow& flow, bool opened, bool closed);
  void reveal(Tuple tuple, Tuple client);
  Answer nat_reply(const Parsed& packet, const Outcome& seen);
  bool goes_on(const Parsed& packet, Flow& flow, bool& closed);
  bool note(const Parsed& packet, Flow& flow, bool& closed);
  bool is_taken(const Tuple& reply) const;
  bool is_taken_by_any(Tuple reply) const;
  bool seems_full(Tuple reply) const;
  bool read_port(std::size_t at, const Outcome& seen, Tuple& reply) const;
  bool show_port(std::size_t at, const Outcome& seen, Flow& flow);
  void take_port(Flow& flow);
  End open_flow(const Parsed& packet, const Outcome& seen, bool narrow, Flow*& flow);
  Answer turn(const Parsed& packet, Flow& flow, const Outcome& seen);
  Answer way_back(const Parsed& packet, const Flow& flow, const Outcome& seen, sl_reason reason);

  // nat_error.cpp
  /// The packet that an ICMP error quotes: where it and its ports stand in the frame, and as it
  /// left.
  struct Quote {
    std::size_t at, ports_at;
    std::uint8_t protocol;
    std::uint16_t source_port, destination_port;
  };
  Flow* quoted_flow(const Parsed& packet, const Quote& quote, const Outcome& seen);
  Answer nat_error(const Parsed& packet, const Quote& quote, const Outcome& seen);

  // out_: the frame that leaves
  void start_frame(const Parsed& packet, std::size_t insert_at, std::size_t insert);
  std::uint8_t* out(std::size_t at) { return out_.data() + at; }

  std::string compare(const Frame& frame, const Outcome& seen) const;
  void count(const Frame& frame);

  const sl_traffic* program_backends_;
  const World* world_ = nullptr;
  std::optional<Directory> directory_;
  std::vector<std::uint8_t> alive_;
  std::vector<std::vector<std::uint16_t>> members_;  ///< the backends in a pool's table
  std::vector<std::uint16_t> may_;                   ///< those that may have a flow
  std::uint32_t now_ = 0;
  std::uint32_t told_at_ = 0, told_ = 0;
  Records records_;
  std::vector<std::uint64_t> recorded_;  ///< hashes that may have a record
  std::unordered_map<std::string, Datagram> datagrams_;
  Flows flows_;
  std::set<Way> ways_;
  Tracking tracking_;
  Buckets buckets_;

  Bytes frame_;
  Answer answer_;
  std::array<std::uint8_t, 8192> out_{};
  std::size_t out_size_ = 0;
  std::uint64_t for_a_service_ = 0;
  std::unique_ptr<Counters> counters_;
};

}  // namespace sluice::reference
