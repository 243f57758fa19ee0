#include "dataplane/xdp/transaction.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>

#include "dataplane/xdp/grace.hpp"

namespace sluice::dataplane::xdp {

namespace {

template <class T>
std::vector<T> copy(std::span<T> memory) {
  return {memory.begin(), memory.end()};
}

std::vector<sl_rate> rates(std::span<sl_limit> limits) {
  std::vector<sl_rate> rates;
  for (const auto& limit : limits)
    rates.push_back(limit.rate);
  return rates;
}

void note(std::string& left, const Result<void>& result) {
  if (!result)
    left += (left.empty() ? "" : "; ") + result.error().message;
}

}  // namespace

Loader::Transaction::Transaction(Loader& loader)
    : loader_(loader), active_(loader.maps_.control().active),
      backends_(copy(loader.maps_.backend_pool())),
      loads_(copy(std::span<sl_load>(loader.maps_.loads().backend))),
      rates_(rates(loader.maps_.limits())), backend_labels_(copy(loader.maps_.backend_labels())),
      service_labels_(copy(loader.maps_.service_labels())),
      table_labels_(copy(loader.maps_.table_labels())), interfaces_(loader.attachments_.running()),
      programs_(loader.attachments_.programs()) {}

std::string Loader::Transaction::undo() {
  const auto& maps = loader_.maps_;
  for (std::size_t id = 0; id < rates_.size(); id++)
    maps.limits()[id].rate = rates_[id];  // what is in the buckets stays
  std::ranges::copy(backends_, maps.backend_pool().begin());
  for (std::size_t id = 0; id < loads_.size(); id++)
    loader_.set_load(static_cast<std::uint16_t>(id), loads_[id].weight, loads_[id].limit);
  std::ranges::copy(backend_labels_, maps.backend_labels().begin());
  std::ranges::copy(service_labels_, maps.service_labels().begin());
  std::ranges::copy(table_labels_, maps.table_labels().begin());
  std::atomic_ref(maps.control().active).store(active_, std::memory_order_release);
  wait_for_readers();
  std::string left;
  undo_interfaces(left);
  return left;
}

void Loader::Transaction::undo_interfaces(std::string& left) {
  auto& attachments = loader_.attachments_;
  note(left, attachments.give_back());
  const auto now = attachments.running();
  for (const auto& [name, image] : now)
    if (!interfaces_.contains(name))
      note(left, attachments.detach(name));
  for (const auto& [name, image] : interfaces_)
    if (!now.contains(name) || now.at(name).ifindex != image.ifindex ||
        now.at(name).mode != image.mode)
      note(left, reattach(name, image));
  for (const auto& [name, programs] : programs_)
    note(left, attachments.restore(name, programs));
  for (const auto& [name, image] : attachments.running())
    if (const auto before = interfaces_.find(name);
        before != interfaces_.end() && before->second.marks != image.marks)
      note(left,
           before->second.marks ? attachments.start_marking(name) : attachments.stop_marking(name));
}

Result<void> Loader::Transaction::reattach(const std::string& name,
                                           const planner::InterfaceImage& image) {
  if (loader_.attachments_.running().contains(name))
    if (auto detached = loader_.attachments_.detach(name); !detached)
      return detached;
  return loader_.attach({name, image});
}

}  // namespace sluice::dataplane::xdp
