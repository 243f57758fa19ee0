#include "host_program.hpp"

#include <cstring>

#include "host/program.h"

namespace sluice::fuzz {

HostProgram::HostProgram() {
  host_start();
}

void HostProgram::load(const reference::World& world, const Contents& contents) {
  host_forget();
  auto& control = *host_control();
  control = {};
  control.active = contents.active;
  control.flow_multiplier = contents.flow_multiplier;
  for (std::uint32_t i = 0; i < SL_MAX_INTERFACES; i++) {
    host_set_port(i, i < world.interfaces);
    control.interfaces[i] = i < world.interfaces ? i + 1 : 0;
  }
  set_time(first_epoch);
  *host_front() = contents.front;
  std::memset(host_backends(), 0, sizeof(sl_backend) * SL_MAX_BACKENDS);
  std::memcpy(host_backends(), contents.backends.data(),
              contents.backends.size() * sizeof(sl_backend));
  std::memcpy(host_vips(), contents.vips.data(), contents.vips.size() * sizeof(sl_vip));
  for (const auto& [at, word] : contents.slots)
    host_slots()[at] = word;
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
  host_control()->epoch = now;
}

reference::Outcome HostProgram::run(const reference::Frame& frame) {
  host_set_interface(frame.interface);
  auto& row = host_stats()->verdict[frame.interface];
  // Only the row of the action that it returns may move; that no other does is seen by the whole
  // comparison of counters after each sequence.
  std::uint64_t before[5][SL_REASONS];
  for (int action = 0; action < 5; action++)
    for (int reason = 0; reason < SL_REASON_COUNT; reason++)
      before[action][reason] = row[action][reason].packets;
  const auto outcome =
      host_run(frame.bytes.data(), static_cast<__u32>(frame.bytes.size()), frame.headroom);
  auto reason = SL_REASON_COUNT;
  if (outcome.action < 5)
    for (int one = 0; one < SL_REASON_COUNT; one++)
      if (row[outcome.action][one].packets != before[outcome.action][one])
        reason = static_cast<sl_reason>(one);
  return {static_cast<reference::Action>(outcome.action), reason, {outcome.data, outcome.size}};
}

}  // namespace sluice::fuzz
