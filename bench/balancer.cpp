#include "balancer.hpp"

#include <bpf/bpf.h>
#include <net/if.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "planner/plan.hpp"

namespace sluice::bench {

namespace {

constexpr int backends = 100;
constexpr int nat_backends = 200;   ///< a million flows need so many ports
constexpr int other_services = 60;  ///< so that the front is as full as that of a busy machine

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

void serve(model::Config& config, const std::string& address, std::uint16_t port,
           const std::string& pool) {
  for (const auto protocol : {model::Protocol::tcp, model::Protocol::udp}) {
    model::Service service;
    service.name = "s" + std::to_string(config.services.size());
    service.address = ip(address);
    service.port = port;
    service.protocol = protocol;
    service.pool = pool;
    config.services.push_back(std::move(service));
  }
}

void add_pool(model::Config& config, const std::string& name, model::Forwarding forwarding,
              const std::string& prefix, std::optional<model::Tracking> tracking) {
  model::Pool pool;
  pool.name = name;
  pool.forwarding = forwarding;
  pool.connectionTracking = tracking;
  const int count = forwarding == model::Forwarding::nat ? nat_backends : backends;
  for (int i = 1; i <= count; i++) {
    model::Backend backend;
    backend.ip = ip(prefix + std::to_string(i));
    pool.backends.push_back(backend);
  }
  config.pools.push_back(std::move(pool));
}

model::Config world(const std::string& interface) {
  model::Config config;
  config.xdp.interfaces = {{interface, model::XdpMode::DRV}};
  config.xdp.encapSource = "172.16.0.0/16";
  config.xdp.encapSource6 = "fd00:e::/112";
  struct Kind {
    const char* name;
    model::Forwarding forwarding;
    std::uint16_t port;
  };
  for (const auto& [name, forwarding, port] :
       {Kind{"ipip", model::Forwarding::dsr_ipip, ipip_port},
        Kind{"l2", model::Forwarding::dsr_l2, l2_port},
        Kind{"nat", model::Forwarding::nat, nat_port},
        Kind{"tracked", model::Forwarding::dsr_ipip, tracked_port}}) {
    const std::string pool4 = std::string(name) + "4", pool6 = std::string(name) + "6";
    const auto net = std::to_string(port);
    const auto tracking =
        port == tracked_port ? std::optional(model::Tracking::full) : std::nullopt;
    add_pool(config, pool4, forwarding, "10." + net + ".0.", tracking);
    add_pool(config, pool6, forwarding, "fd00:" + net + "::", tracking);
    serve(config, vip, port, pool4);
    serve(config, vip6, port, pool6);
  }
  for (int i = 1; i <= other_services / 4; i++) {
    serve(config, "10.0.2." + std::to_string(i), 443, "ipip4");
    serve(config, "2001:db8:2::" + std::to_string(i), 443, "ipip6");
  }
  return config;
}

model::Topology topology(const model::Config& config, const std::string& interface) {
  model::Topology topology;
  model::Link link;
  link.index = if_nametoindex(interface.c_str());
  link.name = interface;
  link.mtu = 1500;
  link.up = true;
  topology.links.emplace(interface, link);
  for (const auto& pool : config.pools)
    for (const auto& backend : pool.backends) {
      const auto& bytes = backend.ip.bytes();
      model::NextHop hop;
      hop.ifindex = link.index;
      hop.interface = interface;
      hop.via = backend.ip;
      hop.source = MacAddress{{2, 0, 0, 0, 0, 1}};
      hop.destination = MacAddress{{2, 0, 1, bytes[13], bytes[14], bytes[15]}};
      hop.preferred_source = ip(backend.ip.is_v4() ? nat_source : "fd00:1::2");
      hop.mtu = 1500;
      hop.resolved = true;
      topology.next_hops.emplace(backend.ip, hop);
    }
  return topology;
}

}  // namespace

void die(const std::string& what) {
  std::fprintf(stderr, "bench: %s\n", what.c_str());
  std::exit(1);
}

Balancer::Balancer(const std::string& interface)
    : instance_("bench-" + std::to_string(getpid())), interface_(interface) {
  loader_ = must(dataplane::xdp::Loader::open(instance_));
  apply(world(interface));
  const auto folder = must(dataplane::xdp::PinFolder::of(instance_));
  program_ = Fd(bpf_obj_get(folder.program(interface).c_str()));
  if (!program_)
    die("the attached program cannot be opened: " + std::string(std::strerror(errno)));
}

Fd Balancer::map(const std::string& name) const {
  Fd fd(bpf_obj_get(must(dataplane::xdp::PinFolder::of(instance_)).map(name).c_str()));
  if (!fd)
    die("there is no pinned map " + name);
  return fd;
}

Balancer::~Balancer() {
  loader_.reset();
  must(dataplane::xdp::Loader::remove_instance(instance_));
}

void Balancer::limit(const model::RateLimitSettings& limits) {
  if (limits == limits_)
    return;
  limits_ = limits;
  auto config = world(interface_);
  config.rateLimit = limits;
  apply(config);
}

void Balancer::apply(const model::Config& config) {
  const auto plan =
      must(planner::make_plan(must(loader_->running()), config, topology(config, interface_)));
  must(loader_->apply(plan));
}

}  // namespace sluice::bench
