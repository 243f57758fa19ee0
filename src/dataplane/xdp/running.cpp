#include "dataplane/xdp/running.hpp"

#include "dataplane/xdp/encode.hpp"

namespace sluice::dataplane::xdp {

namespace {

planner::TableImage read_table(const Maps& maps, std::uint32_t base, std::uint32_t slots,
                               std::uint16_t hash_functions) {
  planner::TableImage table{.base = base, .hash_functions = hash_functions, .slots = {}};
  table.slots.reserve(slots);
  for (const auto slot : maps.slots().subspan(base, slots))
    table.slots.push_back(static_cast<std::uint16_t>(slot & SL_SLOT_BACKEND));
  return table;
}

/// A daemon that was killed between writing a table's label and the swap leaves services on the old
/// range. What packets meet counts; no hash functions make the planner fill the table anew.
void prefer_range_of_service(const Maps& maps, const sl_service& service, const std::string& pool,
                             planner::Image& image) {
  const auto base = static_cast<std::uint32_t>(service.range);
  const auto slots = static_cast<std::uint32_t>(service.range >> 32);
  const auto table = image.tables.find(pool);
  const bool agrees = table == image.tables.end() ? slots == 0
                                                  : table->second.slots.size() == slots &&
                                                        (slots == 0 || table->second.base == base);
  if (!agrees)
    image.tables.insert_or_assign(pool, read_table(maps, base, slots, 0));
}

}  // namespace

planner::Image read_image(const Maps& maps) {
  planner::Image image;
  for (std::uint32_t id = 1; id < SL_MAX_BACKENDS; id++) {
    const auto& label = maps.backend_labels()[id];
    if (label.pool[0])
      image.backends.emplace(key_of(label), decode_backend(static_cast<std::uint16_t>(id),
                                                           maps.backend_pool()[id], label));
  }
  for (const auto& label : maps.table_labels())
    if (label.pool[0])
      image.tables.emplace(name_in(label.pool),
                           read_table(maps, label.base, label.slots,
                                      static_cast<std::uint16_t>(label.hash_functions)));
  const auto& front = maps.front(maps.control().active & 1);
  for (const auto& service : front.service) {
    if (service.key == 0 || service.id >= SL_MAX_SERVICES)
      continue;
    const auto& label = maps.service_labels()[service.id];
    const std::string pool(name_in(label.pool));
    image.services.emplace(key_of(label),
                           planner::ServiceImage{.id = static_cast<std::uint16_t>(service.id),
                                                 .name = std::string(name_in(label.name)),
                                                 .pool = pool});
    prefer_range_of_service(maps, service, pool, image);
  }
  return image;
}

}  // namespace sluice::dataplane::xdp
