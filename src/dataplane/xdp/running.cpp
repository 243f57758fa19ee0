#include "dataplane/xdp/running.hpp"

#include "dataplane/xdp/encode.hpp"
#include "dataplane/xdp/front.hpp"

namespace sluice::dataplane::xdp {

namespace {

model::Algorithm algorithm_of(std::uint32_t flags) {
  if (flags & SL_SERVICE_ROUND_ROBIN)
    return model::Algorithm::roundRobin;
  return flags & SL_SERVICE_LEAST_CONNECTIONS ? model::Algorithm::leastConnections
                                              : model::Algorithm::maglev;
}

planner::QuicImage quic_of(std::uint32_t flags) {
  if (!(flags & SL_SERVICE_QUIC))
    return {};
  return {.server_id_length = static_cast<std::uint8_t>(SL_QUIC_LENGTH(flags)),
          .config_rotation = static_cast<std::uint8_t>(SL_QUIC_ROTATION(flags))};
}

planner::TableImage read_table(const Maps& maps, std::uint32_t base, std::uint32_t slots,
                               std::uint32_t holders, std::uint16_t hash_functions,
                               std::uint32_t flags) {
  planner::TableImage table{.base = base,
                            .hash_functions = hash_functions,
                            .algorithm = algorithm_of(flags),
                            .affinity = flags & SL_SERVICE_AFFINE ? model::Affinity::source
                                                                  : model::Affinity::none,
                            .tracked = (flags & SL_SERVICE_TRACKED) != 0,
                            .quic = quic_of(flags),
                            .slots = {}};
  if (std::uint64_t{base} + slots > SL_SLOT_ARENA)
    return table;
  table.slots.reserve(slots);
  for (const auto slot : maps.slots().subspan(base, slots))
    table.slots.push_back(static_cast<std::uint16_t>(slot & SL_SLOT_BACKEND));
  if (holders == SL_NO_SLOT || std::uint64_t{holders} + slots > SL_SLOT_ARENA)
    return table;
  table.holder_base = holders;
  table.holders.resize(slots);
  for (std::uint32_t i = 0; i < slots; i++)
    if (maps.slots()[base + i] & SL_SLOT_TRANSITION)
      table.holders[i] = maps.slots()[holders + i];
  return table;
}

/// A daemon that was killed between writing a table's label and the swap leaves services on the old
/// range. What packets meet counts; no hash functions make the planner fill the table anew.
void prefer_range_of_service(const Maps& maps, const sl_service& service,
                             const sl_service_label& label, planner::Image& image) {
  const std::string pool(name_in(label.pool));
  const auto base = service.base;
  const auto slots = service.base == SL_NO_SLOT ? 0 : service.slots;
  const auto table = image.tables.find(pool);
  constexpr std::uint32_t of_table = SL_SERVICE_TRACKED | SL_SERVICE_AFFINE |
                                     SL_SERVICE_ROUND_ROBIN | SL_SERVICE_LEAST_CONNECTIONS |
                                     SL_SERVICE_QUIC | SL_SERVICE_QUIC_ROTATION;
  const bool agrees = table == image.tables.end()
                          ? slots == 0
                          : table->second.slots.size() == slots &&
                                (slots == 0 || table->second.base == base) &&
                                flags_for(key_of(label).protocol, table_flags(table->second)) ==
                                    (service.flags & of_table);
  if (!agrees)
    image.tables.insert_or_assign(pool,
                                  read_table(maps, base, slots, service.holders, 0, service.flags));
}

/// Calls `visit(service, label)` for every service of the active front. A label that is not the
/// service's own, because a daemon was killed while it wrote them, does not count: to the planner
/// the service is then missing, and it makes the front anew.
template <class Visit>
void for_each_service(const Maps& maps, Visit visit) {
  for (const auto& service : maps.front(maps.control().active & 1).service) {
    if (service.id == 0 || service.id >= SL_MAX_SERVICES)
      continue;
    const auto& label = maps.service_labels()[service.id];
    if (service_seed(key_of(label)) == service.seed)
      visit(service, label);
  }
}

/// By the id of the backend: as packets find it, and not as a label says.
std::map<std::uint32_t, std::vector<std::uint8_t>> read_server_ids(const Maps& maps) {
  std::map<std::uint32_t, std::vector<std::uint8_t>> ids;
  for (const auto& server : maps.front(maps.control().active & 1).quic.server)
    if (server.id.bytes[0] && server.length <= SL_QUIC_ID_MOST)
      ids[server.backend].assign(server.id.bytes + 1, server.id.bytes + 1 + server.length);
  return ids;
}

}  // namespace

std::map<planner::BackendKey, planner::BackendImage> read_backends(const Maps& maps) {
  std::map<planner::BackendKey, planner::BackendImage> backends;
  const auto server_ids = read_server_ids(maps);
  for (std::uint32_t id = 1; id < SL_MAX_BACKENDS; id++) {
    const auto& label = maps.backend_labels()[id];
    if (!label.pool[0])
      continue;
    auto backend = decode_backend(static_cast<std::uint16_t>(id), maps.backend_pool()[id], label,
                                  maps.limits()[id].rate);
    const auto& load = maps.loads().backend[id];
    backend.max_connections = load.limit;
    backend.drain = load.weight == 0;
    if (const auto found = server_ids.find(backend.id); found != server_ids.end())
      backend.quic_server_id = found->second;
    backends.emplace(key_of(label), backend);
  }
  return backends;
}

std::map<planner::ServiceKey, planner::ServiceImage> read_services(const Maps& maps) {
  std::map<planner::ServiceKey, planner::ServiceImage> services;
  for_each_service(maps, [&](const sl_service& service, const sl_service_label& label) {
    services.emplace(
        key_of(label),
        planner::ServiceImage{.id = static_cast<std::uint16_t>(service.id),
                              .name = std::string(name_in(label.name)),
                              .pool = std::string(name_in(label.pool)),
                              .answer_echo = (service.settings & SL_SETTING_ANSWERS_ECHO) != 0});
  });
  return services;
}

namespace {

model::Fragments read_fragments(const Maps& maps) {
  const auto fragments = maps.front(maps.control().active & 1).fragments;
  for (const auto one : {model::Fragments::drop, model::Fragments::reassemble})
    if (fragments_of(one) == fragments)
      return one;
  return model::Fragments::pass;
}

planner::AccessImage read_access(const Maps& maps) {
  const auto& access = maps.front(maps.control().active & 1).access;
  return {.list = access.list,
          .entries = access.entries,
          .digest = access.digest,
          .otherwise =
              access.otherwise == SL_ACCESS_DENY ? model::Access::deny : model::Access::allow};
}

planner::IdleImage read_idle(const Maps& maps) {
  const auto& idle = maps.front(maps.control().active & 1).idle;
  return {.tcp = idle.tcp,
          .closing = idle.closing,
          .closing_one_sided = idle.closing_one_sided,
          .udp = idle.udp,
          .affinity = idle.affinity};
}

planner::LimitImage read_limit(const Maps& maps) {
  const auto& front = maps.front(maps.control().active & 1);
  return {.rate = decode_rate(front.limit), .mark = front.mark};
}

}  // namespace

planner::Image read_image(const Maps& maps) {
  planner::Image image;
  image.idle = read_idle(maps);
  image.fragments = read_fragments(maps);
  image.access = read_access(maps);
  image.limit = read_limit(maps);
  image.backends = read_backends(maps);
  image.services = read_services(maps);
  for (const auto& label : maps.table_labels())
    if (label.pool[0])
      image.tables.emplace(name_in(label.pool),
                           read_table(maps, label.base, label.slots, label.holders,
                                      static_cast<std::uint16_t>(label.hash_functions),
                                      label.flags));
  for_each_service(maps, [&](const sl_service& service, const sl_service_label& label) {
    prefer_range_of_service(maps, service, label, image);
  });
  return image;
}

}  // namespace sluice::dataplane::xdp
