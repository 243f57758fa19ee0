// What is said of each setting besides its type: range, unit, and a sentence for people. Included
// by config.hpp only.
#pragma once

#include "model/config.hpp"
#include "model/limits.hpp"

namespace sluice::model {
inline constexpr std::int64_t table_sizes[] = {65537, 131071, 262139};
}

namespace sluice::codec {

template <>
inline constexpr Field field<&model::Backend::ip> = {.doc = "IPv4 or IPv6 address of the server",
                                                     .format = "ip",
                                                     .example = R"("10.0.1.11")",
                                                     .required = true};
template <>
inline constexpr Field field<&model::Backend::port> = {
    .doc = "port of the server; absent: the service's port", .min = 1, .max = 65535};
template <>
inline constexpr Field field<&model::Backend::weight> = {
    .doc = "share of new flows relative to the other backends of the pool", .min = 1, .max = 100};
template <>
inline constexpr Field field<&model::Backend::enabled> = {
    .doc = "false takes the backend out of the lookup table"};
template <>
inline constexpr Field field<&model::Backend::label> = {.doc = "name for people",
                                                        .max_length = 128};
template <>
inline constexpr Field field<&model::Backend::tags> = {
    .doc = "words to group and find by", .max_length = 64, .max_items = 32};
template <>
inline constexpr Field field<&model::Backend::datacenter> = {.doc = "where it stands",
                                                             .max_length = 128};
template <>
inline constexpr Field field<&model::Backend::rack> = {.doc = "where it stands, more exactly",
                                                       .max_length = 128};
template <>
inline constexpr Field field<&model::Backend::quicServerId> = {
    .doc = "its server id in QUIC connection ids, as hex digits; no other backend of the pool has "
           "it; counts where the pool has quic",
    .max_length = 2 * model::max_quic_server_id,
    .example = R"("0a000115")"};
template <>
inline constexpr Field field<&model::Backend::pool> = {
    .doc = "in l4_backends only: the pool that it belongs to; absent: default",
    .max_length = model::max_name_length};

template <>
inline constexpr Field field<&model::Pool::name> = {.doc = "letters, digits, '.', '_' and '-'",
                                                    .max_length = model::max_name_length,
                                                    .example = R"("web")",
                                                    .required = true};
template <>
inline constexpr Field field<&model::Pool::forwarding> = {
    .doc = "how packets reach the backends; absent: xdp.forwarding"};
template <>
inline constexpr Field field<&model::Pool::connectionTracking> = {
    .doc =
        "what is remembered about flows: off = nothing, a flow follows the table; exceptions = "
        "while the table changes, the flows that must stay where they are; full = all, which is "
        "what nat, roundRobin, leastConnections and maxConnections need; absent: full where it is "
        "needed, xdp.connectionTracking otherwise"};
template <>
inline constexpr Field field<&model::Pool::algorithm> = {
    .doc = "who gets a new flow: maglev = its hash decides, the same on every balancer; roundRobin "
           "= by turns; leastConnections = who has the fewest flows for its weight; absent: "
           "xdp.algorithm"};
template <>
inline constexpr Field field<&model::Pool::affinity> = {
    .doc = "source: all flows of a client go to one backend; with full tracking they stay there "
           "until the client was silent for xdp.flowTimeouts.affinitySeconds"};
template <>
inline constexpr Field field<&model::Backend::maxConnections> = {
    .doc = "flows that it may have at a time; new ones go to others, and are dropped where nobody "
           "may have another; absent: any number",
    .min = 1,
    .max = 1000000};
template <>
inline constexpr Field field<&model::XdpSettings::algorithm> = {
    .doc = "of pools that do not say otherwise"};
template <>
inline constexpr Field field<&model::XdpSettings::connectionTracking> = {
    .doc = "of pools that do not say otherwise and need no full tracking"};
template <>
inline constexpr Field field<&model::XdpSettings::flowTimeouts> = {
    .doc = "how long flows that are tracked in full are remembered without a packet"};
template <>
inline constexpr Field field<&model::FlowTimeouts::tcpOpenSeconds> = {
    .doc = "an established TCP connection", .min = 10, .max = 86400, .unit = "s"};
template <>
inline constexpr Field field<&model::FlowTimeouts::tcpClosingSeconds> = {
    .doc =
        "a TCP connection that has closed; absent: 2 with nat, which sees both ends close, and 60 "
        "with direct return, which sees the client's only",
    .min = 1,
    .max = 3600,
    .unit = "s"};
template <>
inline constexpr Field field<&model::FlowTimeouts::udpSeconds> = {
    .doc = "a UDP flow", .min = 1, .max = 3600, .unit = "s"};
template <>
inline constexpr Field field<&model::FlowTimeouts::affinitySeconds> = {
    .doc = "where a client's next flow goes, after its last packet",
    .min = 16,
    .max = 604800,
    .unit = "s"};
template <>
inline constexpr Field field<&model::MaglevSettings::rebalanceStrategy> = {
    .doc = "what a changed table does to flows that live: minimalDisruption = those that are "
           "tracked stay where they are; immediate = every packet follows the new table at once"};
template <>
inline constexpr Field field<&model::Backend::drain> = {
    .doc = "true keeps its flows and gives it no new one; needs connectionTracking"};
template <>
inline constexpr Field field<&model::XdpSettings::transitionHoldSeconds> = {
    .doc = "how long they go on learning at most, while records are less than half full or find no "
           "place; less than transitionSeconds counts as that",
    .min = 5,
    .max = 86400,
    .unit = "s"};
template <>
inline constexpr Field field<&model::XdpSettings::transitionSeconds> = {
    .doc = "how long slots that change hands learn which flows are old; flows that are silent for "
           "longer may break",
    .min = 5,
    .max = 86400,
    .unit = "s"};
template <>
inline constexpr Field field<&model::Pool::preserveClientAddress> = {
    .doc = "nat only: backends see the client's address; their way back must lead through the "
           "balancer"};
template <>
inline constexpr Field field<&model::Pool::tableSize> = {
    .doc = "slots of the lookup table; absent: maglev.tableSize", .one_of = model::table_sizes};
template <>
inline constexpr Field field<&model::Pool::hashFunctions> = {
    .doc = "permutations a backend; absent: maglev.hashFunctions", .min = 1, .max = 10};
template <>
inline constexpr Field field<&model::Pool::quic> = {
    .doc = "the servers' QUIC connection ids name them (draft-ietf-quic-load-balancers, without a "
           "key): packets for UDP services of the pool follow the id when the client's address "
           "changes; absent: they go by address and port"};
template <>
inline constexpr Field field<&model::QuicSettings::serverIdLength> = {
    .doc = "bytes of a server id, behind the connection id's first",
    .min = 1,
    .max = model::max_quic_server_id,
    .unit = "bytes",
    .example = "4",
    .required = true};
template <>
inline constexpr Field field<&model::QuicSettings::configRotation> = {
    .doc = "the first three bits of connection ids that name a server; others go by address and "
           "port, and so does 7, which says that an id names nobody",
    .max = 6};
template <>
inline constexpr Field field<&model::Pool::backends> = {
    .doc = "its servers; those of the pool default stand in l4_backends",
    .max_items = model::max_backends};

template <>
inline constexpr Field field<&model::Service::name> = {.doc = "letters, digits, '.', '_' and '-'",
                                                       .max_length = model::max_name_length,
                                                       .example = R"("web")",
                                                       .required = true};
template <>
inline constexpr Field field<&model::Service::address> = {
    .doc = "the VIP", .format = "ip", .example = R"("10.0.0.100")", .required = true};
template <>
inline constexpr Field field<&model::Service::port> = {
    .doc = "port of the VIP; 0: every port that no other service of the VIP has for this protocol",
    .min = 0,
    .max = 65535,
    .example = "80",
    .required = true};
template <>
inline constexpr Field field<&model::Service::portEnd> = {
    .doc = "last port of a range that begins with port; a service with just one port goes before "
           "it; absent: one port",
    .min = 1,
    .max = 65535};
template <>
inline constexpr Field field<&model::Service::protocol> = {.doc = "tcp or udp"};
template <>
inline constexpr Field field<&model::Service::pool> = {.doc = "the pool that serves it",
                                                       .max_length = model::max_name_length,
                                                       .example = R"("default")",
                                                       .required = true};
template <>
inline constexpr Field field<&model::Service::enabled> = {
    .doc = "false lets the service's packets pass to the kernel untouched"};
template <>
inline constexpr Field field<&model::Service::answerEcho> = {
    .doc = "true: pings of the VIP are answered here, whether its backends live or not; false, "
           "unless another enabled service of the VIP says true: the kernel gets them"};

template <>
inline constexpr Field field<&model::XdpInterface::name> = {.doc = "name of the interface",
                                                            .max_length =
                                                                model::max_interface_name_length,
                                                            .example = R"("eth0")",
                                                            .required = true};
template <>
inline constexpr Field field<&model::XdpInterface::mode> = {
    .doc = "SKB = generic, DRV = native, HW = offloaded to the card"};
template <>
inline constexpr Field field<&model::XdpSettings::interfaces> = {
    .doc = "where packets are balanced", .max_items = model::max_interfaces};
template <>
inline constexpr Field field<&model::XdpSettings::forwarding> = {
    .doc = "of pools that do not say otherwise"};
template <>
inline constexpr Field field<&model::XdpSettings::fragments> = {
    .doc = "what becomes of IP fragments for a VIP: drop; pass = to the kernel; reassemble = "
           "those of dsr services follow the first fragment to its backend, within 30 s"};
template <>
inline constexpr Field field<&model::XdpSettings::encapSource> = {
    .doc = "dsr-ipip: IPv4 prefix of /16 or shorter whose last 16 bits vary with the flow in the "
           "outer source address; absent: the way out's own address",
    .max_length = 64,
    .example = R"("172.16.0.0/16")"};
template <>
inline constexpr Field field<&model::XdpSettings::encapSource6> = {
    .doc = "dsr-ipip: IPv6 prefix of /112 or shorter, likewise",
    .max_length = 64,
    .example = R"("fd00:e::/112")"};
template <>
inline constexpr Field field<&model::NatSettings::sourceAddresses> = {
    .doc = "what nat sends from, at most one of each family; none: the way out's own address",
    .max_items = 2,
    .format = "ip",
    .example = R"(["10.0.1.2"])"};
template <>
inline constexpr Field field<&model::MaglevSettings::tableSize> = {.doc = "slots of a lookup table",
                                                                   .one_of = model::table_sizes};
template <>
inline constexpr Field field<&model::MaglevSettings::hashFunctions> = {
    .doc = "permutations a backend walks in turn", .min = 1, .max = 10};
template <>
inline constexpr Field field<&model::PacketRate::packetsPerSecond> = {
    .doc = "packets of clients that the backend gets in a second; 0: no limit",
    .max = model::max_packets_per_second,
    .unit = "packets/s"};
template <>
inline constexpr Field field<&model::PacketRate::burst> = {
    .doc = "packets that go through at once after a pause; absent: a tenth of packetsPerSecond",
    .min = 1,
    .max = model::max_burst,
    .unit = "packets"};
template <>
inline constexpr Field field<&model::Backend::rateLimit> = {
    .doc = "its own limit; absent: rateLimit.perBackend"};
template <>
inline constexpr Field field<&model::RateLimitSettings::packetsPerSecond> = {
    .doc = "packets of clients that go through in a second, to all services together and over all "
           "CPUs; 0: no limit",
    .max = model::max_packets_per_second,
    .unit = "packets/s"};
template <>
inline constexpr Field field<&model::RateLimitSettings::burst> = {
    .doc = "packets that go through at once after a pause; absent: a tenth of packetsPerSecond",
    .min = 1,
    .max = model::max_burst,
    .unit = "packets"};
template <>
inline constexpr Field field<&model::RateLimitSettings::action> = {
    .doc = "what becomes of packets beyond this limit or a backend's: drop; pass = to the kernel, "
           "with a mark"};
template <>
inline constexpr Field field<&model::RateLimitSettings::mark> = {
    .doc =
        "with pass: the mark (skb->mark) that the packets have in the kernel, where nftables and "
        "ip rule see it",
    .min = 1};
template <>
inline constexpr Field field<&model::RateLimitSettings::perBackend> = {
    .doc = "the limit of every backend that has none of its own"};
template <>
inline constexpr Field field<&model::TelemetrySettings::intervalMs> = {
    .doc = "how often the counters are read", .min = 100, .max = 60000, .unit = "ms"};
template <>
inline constexpr Field field<&model::SecuritySettings::denyList> = {
    .doc = "clients whose packets for a VIP are dropped: prefixes or addresses; the longest prefix "
           "that holds a client decides",
    .max_length = 64,
    .max_items = model::max_access_entries,
    .example = R"(["198.51.100.0/24"])"};
template <>
inline constexpr Field field<&model::SecuritySettings::allowList> = {
    .doc = "clients that may reach the VIPs, in spite of a shorter or the same prefix in denyList",
    .max_length = 64,
    .max_items = model::max_access_entries,
    .example = R"(["198.51.100.7"])"};
template <>
inline constexpr Field field<&model::SecuritySettings::defaultAction> = {
    .doc = "for clients that are in no list: allow or deny"};
template <>
inline constexpr Field field<&model::Config::services> = {.doc = "VIPs",
                                                          .max_items = model::max_services};
template <>
inline constexpr Field field<&model::Config::pools> = {.doc = "groups of backends",
                                                       .max_items = model::max_pools};
template <>
inline constexpr Field field<&model::Config::l4_backends> = {
    .doc = "content of the pool default: addresses, or backends", .max_items = model::max_backends};

}  // namespace sluice::codec
