#include "host_program.hpp"

#include <linux/bpf.h>

#include <cstring>

#include "host/program.h"

namespace sluice::fuzz {

HostProgram::HostProgram() {
  host_start();
}

void HostProgram::clear_counters() {
  *host_stats() = {};
  std::memset(counted_, 0, sizeof counted_);
}

void HostProgram::load(const reference::World& world, const Contents& contents) {
  host_forget();
  auto& control = *host_control();
  control = {};
  control.active = contents.active ^ 1;
  control.flow_multiplier = contents.flow_multiplier;
  control.epoch = first_epoch;
  change(world, contents);
}

void HostProgram::change(const reference::World& world, const Contents& contents) {
  auto& control = *host_control();
  control.active ^= 1;
  for (std::uint32_t i = 0; i < SL_MAX_INTERFACES; i++) {
    host_set_port(i, i < world.interfaces);
    control.interfaces[i] = i < world.interfaces ? i + 1 : 0;
  }
  *host_front() = contents.front;
  std::memset(host_backends(), 0, sizeof(sl_backend) * SL_MAX_BACKENDS);
  std::memcpy(host_backends(), contents.backends.data(),
              contents.backends.size() * sizeof(sl_backend));
  std::memcpy(host_vips(), contents.vips.data(), contents.vips.size() * sizeof(sl_vip));
  for (const auto& [at, word] : contents.slots)
    host_slots()[at] = word;
  limits_ = contents.limits.size();
  set_loads(contents, *host_loads(), host_limits());
  host_clear_access(4);
  host_clear_access(6);
  for (const auto& entry : world.access)
    host_add_access(entry.address.is_v4() ? 4 : 6, entry.length,
                    entry.address.bytes().data() + (entry.address.is_v4() ? 12 : 0),
                    entry.deny ? SL_ACCESS_DENY : SL_ACCESS_ALLOW);
  auto& route = *host_route();
  route.result = world.route.found ? 0 : 4;  // BPF_FIB_LKUP_RET_NOT_FWDED
  route.ifindex = world.route.interface + 1u;
  std::memcpy(route.destination, world.route.destination.bytes.data(), 6);
  std::memcpy(route.source, world.route.source.bytes.data(), 6);
}

void HostProgram::set_time(std::uint32_t now) {
  auto& epoch = host_control()->epoch;
  for (std::size_t i = 0; i < limits_; i++)
    host_limits()[i].full_at = bucket_after(host_limits()[i].full_at, now - epoch);
  epoch = now;
}

reference::Outcome HostProgram::run(const reference::Frame& frame) {
  host_set_interface(frame.interface);
  const auto outcome =
      host_run(frame.bytes.data(), static_cast<__u32>(frame.bytes.size()), frame.headroom);
  // Only the row of the action that it returned may have moved; that no other did is seen by the
  // whole comparison of counters after each sequence.
  auto reason = SL_REASON_COUNT;
  if (outcome.action < 5) {
    const auto& row = host_stats()->verdict[frame.interface][outcome.action];
    auto& counted = counted_[frame.interface][outcome.action];
    for (int one = 0; one < SL_REASON_COUNT; one++)
      if (row[one].packets != counted[one]) {
        counted[one] = row[one].packets;
        reason = static_cast<sl_reason>(one);
      }
  }
  reference::Outcome seen{
      static_cast<reference::Action>(outcome.action), reason, {outcome.data, outcome.size}};
  if (reason == SL_REASON_RATE_LIMITED && outcome.action == XDP_PASS)
    seen.meta = {outcome.data - sizeof(sl_mark), sizeof(sl_mark)};
  return seen;
}

}  // namespace sluice::fuzz
