// What the API answers with, as described structs. Field names are the wire's.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/config.hpp"

namespace sluice::api {

struct FaultView {
  std::string pointer, message, suggestion;
};
BOOST_DESCRIBE_STRUCT(FaultView, (), (pointer, message, suggestion))

/// RFC 9457.
struct Problem {
  std::string type, title;
  std::uint32_t status = 0;
  std::string detail, requestId;
  std::vector<FaultView> errors;
};
BOOST_DESCRIBE_STRUCT(Problem, (), (type, title, status, detail, requestId, errors))

struct EffectView {
  std::string pool;
  std::uint32_t slots = 0, moved = 0, unavoidable = 0;
  std::uint32_t learning = 0;  ///< slots of which old flows stay where they are
};
BOOST_DESCRIBE_STRUCT(EffectView, (), (pool, slots, moved, unavoidable, learning))

struct PlanView {
  bool empty = true;
  std::vector<std::string> steps;
  std::vector<EffectView> effects;
  std::vector<FaultView> warnings;
};
BOOST_DESCRIBE_STRUCT(PlanView, (), (empty, steps, effects, warnings))

struct ChangeReply {
  std::uint64_t generation = 0;
  bool applied = false;
  PlanView plan;
};
BOOST_DESCRIBE_STRUCT(ChangeReply, (), (generation, applied, plan))

struct ConfigReply {
  std::uint64_t generation = 0;
  model::Config config;
};
BOOST_DESCRIBE_STRUCT(ConfigReply, (), (generation, config))

struct GenerationView {
  std::uint64_t number = 0;
  std::int64_t timeMs = 0;
  std::string actor, reason;
};
BOOST_DESCRIBE_STRUCT(GenerationView, (), (number, timeMs, actor, reason))

struct HistoryReply {
  std::vector<GenerationView> generations;
};
BOOST_DESCRIBE_STRUCT(HistoryReply, (), (generations))

struct TrafficView {
  std::uint64_t packets = 0, bytes = 0, replyPackets = 0, replyBytes = 0;
  std::uint64_t opened = 0, closed = 0, dropped = 0, unresolved = 0;
};
BOOST_DESCRIBE_STRUCT(TrafficView, (),
                      (packets, bytes, replyPackets, replyBytes, opened, closed, dropped,
                       unresolved))

enum class BackendState { active, draining, disabled, unroutable };
BOOST_DESCRIBE_ENUM(BackendState, active, draining, disabled, unroutable)

struct BackendView {
  std::string id, pool;
  IpAddress ip;
  std::optional<std::uint16_t> port;
  std::uint16_t weight = 1;
  bool enabled = true;
  bool drain = false;
  std::optional<std::uint32_t> maxConnections;
  std::optional<std::string> quicServerId;
  std::optional<std::string> label;
  std::vector<std::string> tags;
  std::optional<std::string> datacenter, rack;
  BackendState state = BackendState::active;
  std::optional<std::string> problem;
  std::uint32_t slots = 0;
  std::uint32_t activeConnections = 0;  ///< that are tracked in full and have not closed
  TrafficView stats;
};
BOOST_DESCRIBE_STRUCT(BackendView, (),
                      (id, pool, ip, port, weight, enabled, drain, maxConnections, quicServerId,
                       label, tags, datacenter, rack, state, problem, slots, activeConnections,
                       stats))

struct PoolView {
  std::string name;
  model::Forwarding forwarding = model::Forwarding::nat;
  bool preserveClientAddress = false;
  model::Algorithm algorithm = model::Algorithm::maglev;
  model::Tracking connectionTracking = model::Tracking::full;
  model::Affinity affinity = model::Affinity::none;
  std::uint32_t slotsLearning = 0, slotsPinned = 0;  ///< of slots that are changing hands
  std::uint32_t tableSize = 0;
  std::uint16_t hashFunctions = 1;
  std::optional<model::QuicSettings> quic;
  std::vector<BackendView> backends;
};
BOOST_DESCRIBE_STRUCT(PoolView, (),
                      (name, forwarding, preserveClientAddress, algorithm, connectionTracking,
                       affinity, slotsLearning, slotsPinned, tableSize, hashFunctions, quic,
                       backends))

struct ServiceView {
  std::string name;
  IpAddress address;
  std::uint16_t port = 0;
  std::optional<std::uint16_t> portEnd;
  model::Protocol protocol = model::Protocol::tcp;
  std::string pool;
  bool enabled = true;
  bool answerEcho = false;
  TrafficView stats;
};
BOOST_DESCRIBE_STRUCT(ServiceView, (),
                      (name, address, port, portEnd, protocol, pool, enabled, answerEcho, stats))

struct VerdictView {
  std::string verdict, reason;
  std::uint64_t packets = 0, bytes = 0;
};
BOOST_DESCRIBE_STRUCT(VerdictView, (), (verdict, reason, packets, bytes))

/// Of times, in ns.
struct NsRange {
  std::uint64_t fromNs = 0;
  std::optional<std::uint64_t> belowNs;  ///< absent: without end
};
BOOST_DESCRIBE_STRUCT(NsRange, (), (fromNs, belowNs))

struct TimingBucketView {
  std::uint64_t fromNs = 0;
  std::optional<std::uint64_t> belowNs;
  std::uint64_t samples = 0;
};
BOOST_DESCRIBE_STRUCT(TimingBucketView, (), (fromNs, belowNs, samples))

/// What packets cost in the program, of about one in a thousand. `samples`, `nanoseconds` and
/// `buckets` only grow: the difference of two replies is what came in between.
struct TimingView {
  std::uint64_t samples = 0, nanoseconds = 0;
  std::optional<double> meanNs;           ///< absent: nothing was timed yet
  std::optional<NsRange> p50, p99;        ///< where the percentiles lie
  std::vector<TimingBucketView> buckets;  ///< those with samples
};
BOOST_DESCRIBE_STRUCT(TimingView, (), (samples, nanoseconds, meanNs, p50, p99, buckets))

struct InterfaceStats {
  std::string interface;
  std::uint64_t packets = 0, bytes = 0;
  std::vector<VerdictView> verdicts;
  TimingView timing;
};
BOOST_DESCRIBE_STRUCT(InterfaceStats, (), (interface, packets, bytes, verdicts, timing))

/// `malformed` and what follows are packets that are listed in `errors`, by kind.
struct TotalsView {
  std::uint64_t packets = 0, bytes = 0, drops = 0;
  std::uint64_t malformed = 0, lookupFailures = 0, programErrors = 0, unreachable = 0;
};
BOOST_DESCRIBE_STRUCT(TotalsView, (),
                      (packets, bytes, drops, malformed, lookupFailures, programErrors,
                       unreachable))

/// What went wrong with packets: of which kind (malformed, map-lookup, program, unreachable), why,
/// and where.
struct ErrorView {
  std::string kind, reason, cause;
  std::optional<std::string> interface, pool, backend;
  std::uint64_t packets = 0;
};
BOOST_DESCRIBE_STRUCT(ErrorView, (), (kind, reason, cause, interface, pool, backend, packets))

struct ServiceStats {
  std::string name;
  IpAddress address;
  std::uint16_t port = 0;
  std::optional<std::uint16_t> portEnd;
  model::Protocol protocol = model::Protocol::tcp;
  std::string pool;
  std::uint64_t packets = 0, bytes = 0, replyPackets = 0, replyBytes = 0;
  std::uint64_t opened = 0, closed = 0, dropped = 0, unresolved = 0;
};
BOOST_DESCRIBE_STRUCT(ServiceStats, (),
                      (name, address, port, portEnd, protocol, pool, packets, bytes, replyPackets,
                       replyBytes, opened, closed, dropped, unresolved))

struct BackendStats {
  std::string id, pool;
  IpAddress ip;
  std::optional<std::uint16_t> port;
  std::uint64_t packets = 0, bytes = 0, replyPackets = 0, replyBytes = 0;
  std::uint64_t opened = 0, closed = 0, dropped = 0, unresolved = 0;
  std::uint32_t activeConnections = 0;
};
BOOST_DESCRIBE_STRUCT(BackendStats, (),
                      (id, pool, ip, port, packets, bytes, replyPackets, replyBytes, opened, closed,
                       dropped, unresolved, activeConnections))

/// Flows on slots that change hands are recorded; `untracked` are packets of flows that are to be
/// tracked in full and found no place.
struct TrackingView {
  std::uint64_t lookedUp = 0, recorded = 0, refused = 0, untracked = 0;
};
BOOST_DESCRIBE_STRUCT(TrackingView, (), (lookedUp, recorded, refused, untracked))

struct StatsView {
  std::int64_t timestamp = 0;  ///< ms since the epoch
  TotalsView totals;
  TrackingView tracking;
  std::vector<ErrorView> errors;  ///< those that occurred
  std::vector<InterfaceStats> interfaces;
  std::vector<ServiceStats> services;
  std::vector<BackendStats> backends;
};
BOOST_DESCRIBE_STRUCT(StatsView, (),
                      (timestamp, totals, tracking, errors, interfaces, services, backends))

struct InterfaceStatus {
  std::string name;
  model::XdpMode mode = model::XdpMode::DRV;
  bool attached = false;
  std::uint32_t programId = 0;
  std::optional<std::string> programVersion;  ///< absent: nobody knows
  bool outdated = false;                      ///< not the program that this daemon brings
  std::optional<std::string> problem;
};
BOOST_DESCRIBE_STRUCT(InterfaceStatus, (),
                      (name, mode, attached, programId, programVersion, outdated, problem))

/// An enabled backend that nothing can be sent to.
struct UnroutableView {
  std::string id, pool;
  std::optional<std::string> problem;
};
BOOST_DESCRIBE_STRUCT(UnroutableView, (), (id, pool, problem))

struct StatusView {
  std::string version;
  std::uint64_t generation = 0;
  std::int64_t startedMs = 0, uptimeMs = 0;
  bool adopted = false;
  std::string drift;
  std::vector<InterfaceStatus> interfaces;
  std::uint32_t services = 0, pools = 0, backends = 0, backendsActive = 0;
  std::vector<UnroutableView> unroutable;
};
BOOST_DESCRIBE_STRUCT(StatusView, (),
                      (version, generation, startedMs, uptimeMs, adopted, drift, interfaces,
                       services, pools, backends, backendsActive, unroutable))

enum class LinkState { up, down };
BOOST_DESCRIBE_ENUM(LinkState, up, down)

struct AttachedView {
  model::XdpMode mode = model::XdpMode::DRV;
  std::uint32_t programId = 0;
  bool multiBuffer = false;  ///< the variant of the program that takes frames in several buffers
};
BOOST_DESCRIBE_STRUCT(AttachedView, (), (mode, programId, multiBuffer))

struct InterfaceView {
  std::string name;
  std::uint32_t index = 0;
  std::string mac;
  std::uint32_t mtu = 0;
  LinkState state = LinkState::up;
  std::vector<std::string> addresses;
  std::optional<AttachedView> attached;
};
BOOST_DESCRIBE_STRUCT(InterfaceView, (), (name, index, mac, mtu, state, addresses, attached))

struct ProgramView {
  std::uint32_t id = 0;                ///< in the kernel
  std::optional<std::string> version;  ///< absent: nobody knows
  std::string tag;                     ///< the kernel's hash over its instructions
  std::int64_t loadedMs = 0;           ///< ms since the epoch
  bool multiBuffer = false;            ///< the variant that takes frames in several buffers
};
BOOST_DESCRIBE_STRUCT(ProgramView, (), (id, version, tag, loadedMs, multiBuffer))

struct InterfaceProgramView {
  std::string interface;
  model::XdpMode mode = model::XdpMode::DRV;
  bool outdated = false;  ///< not the program that this daemon brings
  ProgramView program;
  std::optional<ProgramView> previous;  ///< what a rollback puts back
};
BOOST_DESCRIBE_STRUCT(InterfaceProgramView, (), (interface, mode, outdated, program, previous))

struct ProgramVersionView {
  std::string name;  ///< what a reload calls it
  std::string version;
  std::optional<std::string> problem;  ///< why it does not fit this daemon
};
BOOST_DESCRIBE_STRUCT(ProgramVersionView, (), (name, version, problem))

struct ProgramsReply {
  std::vector<InterfaceProgramView> interfaces;
  std::vector<ProgramVersionView> versions;
};
BOOST_DESCRIBE_STRUCT(ProgramsReply, (), (interfaces, versions))

struct ReloadRequest {
  std::string version = "built-in";
};
BOOST_DESCRIBE_STRUCT(ReloadRequest, (), (version))

struct AttachRequest {
  model::XdpMode mode = model::XdpMode::DRV;
};
BOOST_DESCRIBE_STRUCT(AttachRequest, (), (mode))

struct Health {
  std::string status;
};
BOOST_DESCRIBE_STRUCT(Health, (), (status))

}  // namespace sluice::api
