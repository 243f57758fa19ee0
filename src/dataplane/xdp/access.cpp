#include "dataplane/xdp/access.hpp"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace sluice::dataplane::xdp {

namespace {

constexpr std::uint32_t batch = 4096;

std::string table_name(bool v4, std::uint32_t list) {
  return std::string(v4 ? "access4_" : "access6_") + std::to_string(list & 1);
}

template <class Key>
Result<void> clear_table(const Maps& maps, const std::string& name) {
  const int table = maps.fd(name);
  LIBBPF_OPTS(bpf_map_batch_opts, options);
  std::vector<Key> keys(batch);
  std::vector<__u32> actions(batch);
  for (;;) {
    Key position{};
    std::uint32_t found = batch;
    // Always from the start: what was found before is gone. The last batch ends with ENOENT.
    const int error = bpf_map_lookup_batch(table, nullptr, &position, keys.data(), actions.data(),
                                           &found, &options);
    if (error && error != -ENOENT)
      return fail(Code::kernel, "the table " + name + " cannot be read: " + std::strerror(-error));
    if (found == 0)
      return {};
    if (const int refused = bpf_map_delete_batch(table, keys.data(), &found, &options))
      return fail(Code::kernel,
                  "the table " + name + " cannot be emptied: " + std::strerror(-refused));
  }
}

Result<void> clear_list(const Maps& maps, std::uint32_t list) {
  if (auto cleared = clear_table<sl_prefix4>(maps, table_name(true, list)); !cleared)
    return cleared;
  return clear_table<sl_prefix6>(maps, table_name(false, list));
}

void set_key(sl_prefix4& key, const planner::AccessEntry& entry) {
  key.length = entry.length;
  key.address = entry.address.words()[0];
}
void set_key(sl_prefix6& key, const planner::AccessEntry& entry) {
  key.length = entry.length;
  std::ranges::copy(entry.address.words(), key.address);
}

template <class Key>
Result<void> fill_table(const Maps& maps, const planner::FillAccessList& step, bool v4) {
  std::vector<Key> keys;
  std::vector<__u32> actions;
  for (const auto& entry : step.entries)
    if (entry.address.is_v4() == v4) {
      set_key(keys.emplace_back(), entry);
      actions.push_back(entry.action == model::Access::deny ? SL_ACCESS_DENY : SL_ACCESS_ALLOW);
    }
  const auto name = table_name(v4, step.access.list);
  LIBBPF_OPTS(bpf_map_batch_opts, options);
  auto count = static_cast<std::uint32_t>(keys.size());
  if (count == 0)
    return {};
  if (const int error =
          bpf_map_update_batch(maps.fd(name), keys.data(), actions.data(), &count, &options))
    return fail(error == -ENOSPC ? Code::full : Code::kernel,
                "of " + std::to_string(keys.size()) + (v4 ? " IPv4" : " IPv6") +
                    " entries of the access lists only " + std::to_string(count) +
                    " could be written: " + std::strerror(-error));
  return {};
}

}  // namespace

Result<void> fill_access_list(const Maps& maps, const planner::FillAccessList& step) {
  if (auto cleared = clear_list(maps, step.access.list); !cleared)
    return cleared;
  if (auto filled = fill_table<sl_prefix4>(maps, step, true); !filled)
    return filled;
  return fill_table<sl_prefix6>(maps, step, false);
}

void clear_unused_access_lists(const Maps& maps) {
  const auto& access = maps.front(maps.control().active & 1).access;
  for (const std::uint32_t list : {0u, 1u})
    if (access.entries == 0 || access.list != list)
      if (auto cleared = clear_list(maps, list); !cleared)
        continue;  // it is tried again before the list is filled, and told then
}

}  // namespace sluice::dataplane::xdp
