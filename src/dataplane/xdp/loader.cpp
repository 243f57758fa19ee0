#include "dataplane/xdp/loader.hpp"

#include <bpf/bpf.h>
#include <net/if.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>
#include <random>
#include <set>

#include "dataplane/xdp/access.hpp"
#include "dataplane/xdp/counters.hpp"
#include "dataplane/xdp/encode.hpp"
#include "dataplane/xdp/flows.hpp"
#include "dataplane/xdp/front.hpp"
#include "dataplane/xdp/grace.hpp"
#include "dataplane/xdp/marking.hpp"
#include "dataplane/xdp/records.hpp"
#include "dataplane/xdp/running.hpp"
#include "dataplane/xdp/transaction.hpp"
#include "planner/plan.hpp"

namespace sluice::dataplane::xdp {

namespace {

template <class Label>
Label* find_label(std::span<Label> labels, std::string_view pool) {
  for (auto& label : labels)
    if (name_in(label.pool) == pool)
      return &label;
  return nullptr;
}

}  // namespace

Result<std::unique_ptr<Loader>> Loader::open(std::string_view instance,
                                             const std::filesystem::path& programs) {
  auto folder = PinFolder::of(instance);
  if (!folder)
    return fail(folder.error());
  if (auto created = folder->create(); !created)
    return fail(created.error());
  auto lock = folder->lock();
  if (!lock)
    return fail(lock.error());
  auto maps = Maps::open(*folder);
  if (!maps)
    return fail(maps.error());
  // New maps: packets to nobody must not meet an entry of zeros.
  for (const std::size_t front : {0u, 1u})
    if (maps->front(front).multiplier4 == 0)
      if (auto built = build_front({}, maps->front(front)); !built)
        return fail(built.error());
  if (maps->control().flow_multiplier == 0) {
    std::random_device random;
    maps->control().flow_multiplier = std::uint64_t{random()} << 32 | random() | 1;
  }
  // A daemon that was killed while it took flows out may have miscounted.
  recount_flows(*maps);
  auto attachments = Attachments::adopt(*folder, *maps);
  std::unique_ptr<Loader> loader(
      new Loader(std::move(*lock), Versions(programs), std::move(*maps), std::move(attachments)));
  // One of the devmaps may be new: a daemon before may have known the other only.
  const auto& interfaces = loader->maps_.control().interfaces;
  for (std::uint32_t slot = 0; slot < SL_MAX_INTERFACES; slot++)
    if (interfaces[slot])
      static_cast<void>(loader->place(slot, interfaces[slot]));  // one may have gone
  return loader;
}

Result<std::vector<std::string>>
Loader::remove_instance(std::string_view instance, const std::optional<std::string>& interface) {
  auto folder = PinFolder::of(instance);
  if (!folder)
    return fail(folder.error());
  Fd lock;
  if (folder->exists()) {
    auto taken = folder->lock();
    if (!taken)
      return fail(taken.error().code,
                  taken.error().code == Code::unavailable
                      ? "sluiced runs the instance '" + std::string(instance) +
                            "' but does not answer there; say where its socket is, or stop it first"
                      : taken.error().message);
    lock = std::move(*taken);
  }
  auto layouts = folder->others();
  layouts.push_back(*folder);
  std::vector<std::string> detached;
  for (const auto& layout : layouts)
    for (const auto& name : layout.linked_interfaces()) {
      if (interface && name != *interface)
        continue;
      Fd link(bpf_obj_get(layout.link(name).c_str()));
      if (!link && (errno == EPERM || errno == EACCES))
        return fail(Code::permission, "cannot detach from " + name + ": " + std::strerror(errno) +
                                          "; run it as root, or as the user that sluiced runs as");
      // ENOLINK: the interface has gone and took the attachment along.
      if (link && bpf_link_detach(link.get()) && errno != ENOLINK)
        return fail(Code::kernel, "cannot detach from " + name + ": " + std::strerror(errno));
      take_off_marking(layout, name, if_nametoindex(name.c_str()));
      std::error_code ignored;
      for (const auto& pin : {layout.link(name), layout.program(name), layout.previous(name)})
        std::filesystem::remove(pin, ignored);
      detached.push_back(name);
    }
  if (interface && detached.empty())
    return fail(Code::not_found, "nothing is attached to " + *interface);
  if (!interface)
    if (auto removed = folder->remove_all(); !removed)
      return fail(removed.error());
  return detached;
}

Result<planner::Image> Loader::running() {
  auto image = read_image(maps_);
  image.interfaces = attachments_.running();
  image.inherited = attachments_.inherited();
  return image;
}

Result<void> Loader::apply(const planner::Plan& plan) {
  if (plan.empty())
    return {};
  Transaction transaction(*this);
  auto done = run(plan);
  if (!done) {
    if (const auto left = transaction.undo(); !left.empty())
      done.error().message += " (and while undoing: " + left + ")";
  }
  attachments_.forget_taken_over();
  free_unused_slots();
  clear_unused_access_lists(maps_);
  return done;
}

/// Also where memory runs out: what was done until then is undone like after any other refusal.
Result<void> Loader::run(const planner::Plan& plan) try {
  std::set<std::uint16_t> removed;
  for (const auto& step : plan.steps) {
    if (auto done = run_step(plan, step); !done)
      return done;
    if (const auto* remove = std::get_if<planner::RemoveBackend>(&step))
      removed.insert(remove->id);
  }
  clear_backends(removed);
  return {};
} catch (const std::bad_alloc&) {
  return fail(Code::unavailable,
              "there is not enough memory to apply the plan; give sluiced more and try again");
}

Result<void> Loader::run_step(const planner::Plan& plan, const planner::Step& step) {
  if (const auto* put = std::get_if<planner::PutBackend>(&step))
    return put_backend(*put);
  if (const auto* fill = std::get_if<planner::FillTable>(&step))
    return fill_table(*fill);
  if (const auto* list = std::get_if<planner::FillAccessList>(&step))
    return fill_access_list(maps_, *list);
  if (const auto* mark = std::get_if<planner::MarkSlots>(&step))
    return mark_slots(*mark);
  if (std::holds_alternative<planner::SwapFront>(step))
    return swap_front(plan);
  if (const auto* forget = std::get_if<planner::ForgetFlows>(&step)) {
    forget_flows_of_pool(maps_, plan.after, forget->pool);
    return {};
  }
  if (const auto* forget = std::get_if<planner::ForgetTable>(&step)) {
    // The memory needs no clearing: a free range is filled before anything points to it.
    if (!plan.after.tables.contains(forget->pool))
      if (auto* label = find_label(maps_.table_labels(), forget->pool))
        *label = {};
    return {};
  }
  if (const auto* remove = std::get_if<planner::RemoveBackend>(&step)) {
    disable_backend(remove->id);
    return {};
  }
  if (const auto* start = std::get_if<planner::StartMarking>(&step))
    return attachments_.start_marking(start->interface);
  if (const auto* stop = std::get_if<planner::StopMarking>(&step))
    return attachments_.stop_marking(stop->interface);
  if (const auto* detach = std::get_if<planner::Detach>(&step))
    return attachments_.detach(detach->interface);
  if (const auto* over = std::get_if<planner::TakeOver>(&step))
    return take_over(*over);
  if (const auto* replace = std::get_if<planner::ReplaceProgram>(&step))
    return replace_program(*replace);
  if (const auto* fit = std::get_if<planner::FitProgram>(&step))
    return fit_program(*fit);
  return attach(std::get<planner::Attach>(step));
}

Result<LoadedProgram> Loader::load(std::string_view version, std::uint32_t ifindex,
                                   bool multi_buffer) {
  auto opened = versions_.open(version, maps_);
  if (!opened)
    return fail(opened.error());
  auto slot = slot_of(ifindex);
  if (!slot)
    return fail(slot.error());
  auto program = load_program(opened->object, maps_, *slot, multi_buffer);
  if (!program)
    return fail(program.error().code,
                "program version " + opened->version + ": " + program.error().message);
  return LoadedProgram{std::move(*program), opened->version};
}

LoadVariant Loader::variants_of(std::string version, std::uint32_t ifindex) {
  return [this, version = std::move(version), ifindex](bool multi_buffer) {
    return load(version, ifindex, multi_buffer);
  };
}

Result<LoadedProgram> Loader::load_same(const planner::Program& program, std::uint32_t ifindex,
                                        bool multi_buffer) {
  for (const auto& version : versions_.list(maps_)) {
    if (!version.problem.empty() ||
        (!program.version.empty() && version.version != program.version))
      continue;
    auto loaded = load(version.name, ifindex, multi_buffer);
    if (!loaded)
      return loaded;
    // The same name may stand for other code. Both variants of the same code have the same tag.
    if (const auto info = program_info(loaded->program.get()); info && info->tag == program.tag)
      return loaded;
  }
  return fail(Code::not_found,
              "the program is loaded in its " +
                  std::string(program.multi_buffer ? "multi-buffer" : "single-buffer") +
                  " variant, and nobody has the object of its version " +
                  (program.version.empty() ? "(which is unknown)" : program.version) +
                  " to load the other one for the interface's MTU; put it into the folder of "
                  "--programs");
}

Result<void> Loader::attach(const planner::Attach& step) {
  const auto there = attachments_.running();
  if (there.contains(step.interface) ||  // in another mode
      attachments_.inherited().contains(step.interface))
    if (auto detached = attachments_.detach(step.interface); !detached)
      return detached;
  return attachments_.attach(maps_, step.interface, step.image,
                             variants_of(std::string(built_in), step.image.ifindex));
}

Result<void> Loader::take_over(const planner::TakeOver& step) {
  return attachments_.take_over(maps_, step.interface, step.image,
                                variants_of(std::string(built_in), step.image.ifindex));
}

Result<void> Loader::replace_program(const planner::ReplaceProgram& step) {
  const auto there = attachments_.running();
  const auto found = there.find(step.interface);
  if (found == there.end())
    return fail(Code::not_found, "nothing is attached to " + step.interface);
  const auto ifindex = found->second.ifindex;
  if (!step.name.empty())
    return attachments_.replace(maps_, step.interface, variants_of(step.name, ifindex));
  return attachments_.put_back(maps_, step.interface,
                               [&](const planner::Program& before, bool multi_buffer) {
                                 return load_same(before, ifindex, multi_buffer);
                               });
}

Result<void> Loader::fit_program(const planner::FitProgram& step) {
  const auto there = attachments_.running();
  const auto found = there.find(step.interface);
  if (found == there.end())
    return fail(Code::not_found, "nothing is attached to " + step.interface);
  return attachments_.fit(maps_, step.interface, step.jumbo,
                          [&](const planner::Program& running, bool multi_buffer) {
                            auto same = load_same(running, found->second.ifindex, multi_buffer);
                            // Better another version than one that large frames do not reach.
                            if (!same && multi_buffer)
                              return load(built_in, found->second.ifindex, multi_buffer);
                            return same;
                          });
}

Result<void> Loader::put_backend(const planner::PutBackend& step) {
  if (step.backend.id == 0 || step.backend.id >= SL_MAX_BACKENDS)
    return fail(Code::full, "there is no entry " + std::to_string(step.backend.id) +
                                " in backend_pool; the last is " +
                                std::to_string(SL_MAX_BACKENDS - 1));
  std::uint32_t slot = 0;
  if (step.backend.resolved) {
    auto taken = slot_of(step.backend.ifindex);
    if (!taken)
      return fail(taken.error());
    slot = *taken;
  }
  const auto fresh = encode_backend(step.key, step.backend, slot);
  auto& entry = maps_.backend_pool()[step.backend.id];
  auto& label = maps_.backend_labels()[step.backend.id];
  auto& limit = maps_.limits()[step.backend.id];
  if (label.pool[0] == 0 || key_of(label) != step.key) {
    clear_backend(maps_, step.backend.id);
    limit = {};
  }
  // Before a packet is told to look at it. Where there is none any more the old one stays: a packet
  // may be about to look.
  if (step.backend.limit != planner::RateImage{})
    limit.rate = encode_rate(step.backend.limit);
  std::uint64_t was[8], becomes[8];
  std::memcpy(was, &entry, sizeof was);
  std::memcpy(becomes, &fresh, sizeof becomes);
  // Packets may be reading the entry: word by word, each whole, and the first, which holds the next
  // hop's MAC, last. When only the neighbour has changed this is a single store.
  auto* words = reinterpret_cast<std::uint64_t*>(&entry);
  for (const int i : {7, 6, 5, 4, 3, 2, 1, 0})
    if (was[i] != becomes[i])
      std::atomic_ref(words[i]).store(becomes[i], std::memory_order_release);
  label = label_of(step.key, step.backend);
  set_load(step.backend.id, step.backend.drain ? 0u : step.backend.weight,
           step.backend.max_connections);
  return {};
}

void Loader::disable_backend(std::uint16_t id) {
  auto& entry = maps_.backend_pool()[id];
  std::uint64_t words[8];
  sl_backend disabled = entry;
  disabled.flags |= SL_BACKEND_DISABLED;
  std::memcpy(words, &disabled, sizeof words);
  constexpr std::size_t word = offsetof(sl_backend, flags) / sizeof *words;
  std::atomic_ref(reinterpret_cast<std::uint64_t*>(&entry)[word])
      .store(words[word], std::memory_order_release);
}

/// What is remembered of flows names a backend past all tables. A packet that has found one just
/// before it was disabled still has its entry whole; after that nobody remembers it, and its id may
/// be another's.
void Loader::clear_backends(const std::set<std::uint16_t>& ids) {
  if (ids.empty())
    return;
  wait_for_readers();
  forget_flows_of_backends(maps_, ids);
  for (const auto id : ids) {
    maps_.backend_pool()[id] = {};
    maps_.backend_labels()[id] = {};
    set_load(id, 0, 0);
  }
}

void Loader::set_load(std::uint16_t id, std::uint32_t weight, std::uint32_t limit) {
  auto& load = maps_.loads().backend[id];
  std::atomic_ref(load.weight).store(weight, std::memory_order_relaxed);
  std::atomic_ref(load.limit).store(limit, std::memory_order_relaxed);
}

Result<void> Loader::fill_table(const planner::FillTable& step) {
  if (auto written = write_slots(step.pool, step.table); !written)
    return written;
  auto* label = find_label(maps_.table_labels(), step.pool);
  if (!label)
    label = find_label(maps_.table_labels(), "");
  if (!label)
    return fail(Code::full, "there is no room for the pool " + step.pool + ": " +
                                std::to_string(SL_MAX_POOLS) + " are in use");
  set_name(label->pool, step.pool);
  label->base = step.table.base;
  label->slots = static_cast<std::uint32_t>(step.table.slots.size());
  label->hash_functions = step.table.hash_functions;
  label->flags = table_flags(step.table);
  label->holders = step.table.holders.empty() ? SL_NO_SLOT : step.table.holder_base;
  return {};
}

Result<void> Loader::mark_slots(const planner::MarkSlots& step) {
  auto* label = find_label(maps_.table_labels(), step.pool);
  if (!label)
    return fail(Code::internal, "there is no table of pool " + step.pool);
  if (auto written = write_slots(step.pool, step.table); !written)
    return written;
  label->holders = step.table.holders.empty() ? SL_NO_SLOT : step.table.holder_base;
  label->flags = table_flags(step.table);
  return {};
}

Result<void> Loader::write_slots(const std::string& pool, const planner::TableImage& table) {
  if (table.base + std::uint64_t{table.slots.size()} > SL_SLOT_ARENA ||
      table.holder_base + std::uint64_t{table.holders.size()} > SL_SLOT_ARENA)
    return fail(Code::full, "the table of pool " + pool + " reaches beyond the " +
                                std::to_string(SL_SLOT_ARENA) + " slots that there are");
  const auto slots = maps_.slots();
  for (std::size_t i = 0; i < table.slots.size(); i++) {
    const auto holder = table.holders.empty() ? 0 : table.holders[i];
    const std::uint32_t slot = table.slots[i] | (holder ? SL_SLOT_TRANSITION : 0u);
    // The holder stands before a packet is told to look at it.
    if (holder)
      std::atomic_ref(slots[table.holder_base + i]).store(holder, std::memory_order_release);
    std::atomic_ref(slots[table.base + i]).store(slot, std::memory_order_release);
  }
  return {};
}

Result<void> Loader::swap_front(const planner::Plan& plan) {
  auto& control = maps_.control();
  const auto idle = (control.active & 1) ^ 1;
  if (auto built = build_front(plan.after, maps_.front(idle)); !built)
    return built;
  std::set<std::uint32_t> known;
  for (const auto& service : maps_.front(control.active & 1).service)
    if (service.id)
      known.insert(service.id);
  std::set<std::uint16_t> fresh;
  for (const auto& [key, service] : plan.after.services) {
    if (!known.contains(service.id)) {
      if (clear_service(maps_, service.id))
        fresh.insert(service.id);
    }
    maps_.service_labels()[service.id] = label_of(key, service);
    maps_.vips()[service.id] = vip_of(key);
  }
  // An id may have been another service's before.
  if (!fresh.empty())
    forget_flows_of_services(maps_, fresh);
  std::atomic_ref(control.active).store(idle, std::memory_order_release);
  wait_for_readers();
  return {};
}

Result<void> Loader::place(std::uint32_t slot, std::uint32_t ifindex) {
  for (const char* devmap : {plain_devmap, multi_buffer_devmap}) {
    std::uint32_t there = 0;
    if (bpf_map_lookup_elem(maps_.fd(devmap), &slot, &there) == 0 && there == ifindex)
      continue;
    if (bpf_map_update_elem(maps_.fd(devmap), &slot, &ifindex, BPF_ANY)) {
      const int error = errno;
      return fail(error == EINVAL ? Code::not_found : Code::kernel,
                  "packets cannot be sent out of the interface with index " +
                      std::to_string(ifindex) + ": " +
                      (error == EINVAL ? "there is none" : std::strerror(error)));
    }
  }
  return {};
}

Result<std::uint32_t> Loader::slot_of(std::uint32_t ifindex) {
  auto& interfaces = maps_.control().interfaces;
  std::uint32_t free = SL_MAX_INTERFACES;
  for (std::uint32_t slot = 0; slot < SL_MAX_INTERFACES; slot++) {
    if (ifindex && interfaces[slot] == ifindex) {
      // An interface that was away, in another namespace for instance, has lost its place.
      if (auto placed = place(slot, ifindex); !placed)
        return fail(placed.error());
      return slot;
    }
    if (interfaces[slot] == 0 && free == SL_MAX_INTERFACES)
      free = slot;
  }
  if (free == SL_MAX_INTERFACES)
    return fail(Code::full, "there is no room for another interface: " +
                                std::to_string(SL_MAX_INTERFACES) + " are in use");
  if (auto placed = place(free, ifindex); !placed)
    return fail(placed.error());
  clear_interface(maps_, free);
  interfaces[free] = ifindex;
  return free;
}

void Loader::free_unused_slots() {
  std::set<std::uint32_t> used;
  for (const auto& label : maps_.backend_labels())
    if (label.pool[0] && label.ifindex)
      used.insert(label.ifindex);
  for (const auto& [name, image] : attachments_.running())
    used.insert(image.ifindex);
  auto& interfaces = maps_.control().interfaces;
  for (std::uint32_t slot = 0; slot < SL_MAX_INTERFACES; slot++)
    if (interfaces[slot] && !used.contains(interfaces[slot])) {
      for (const char* devmap : {plain_devmap, multi_buffer_devmap})
        bpf_map_delete_elem(maps_.fd(devmap), &slot);
      interfaces[slot] = 0;
    }
}

Result<Counters> Loader::counters() {
  std::map<std::string, std::uint32_t> interfaces;
  for (const auto& [name, image] : attachments_.running())
    for (std::uint32_t slot = 0; slot < SL_MAX_INTERFACES; slot++)
      if (maps_.control().interfaces[slot] == image.ifindex)
        interfaces.emplace(name, slot);
  return read_counters(maps_, interfaces);
}

void Loader::tick(std::uint32_t epoch) {
  std::atomic_ref(maps_.control().epoch).store(epoch, std::memory_order_relaxed);
  sweep_flows(maps_, epoch);
}

bool Loader::in_transition() const {
  return std::ranges::any_of(maps_.table_labels(), [](const sl_table_label& label) {
    return label.pool[0] && label.holders != SL_NO_SLOT;
  });
}

planner::Learned Loader::sweep(const planner::Image& image) {
  return sweep_records(maps_, image);
}

Totals Loader::get_stats() const {
  return read_totals(maps_);
}

}  // namespace sluice::dataplane::xdp
