#include "dataplane/xdp/attachments.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "dataplane/xdp/encode.hpp"
#include "dataplane/xdp/libbpf_log.hpp"
#include "dataplane/xdp/maps.hpp"
#include "dataplane/xdp/marking.hpp"
#include "dataplane/xdp/program.hpp"

namespace sluice::dataplane::xdp {

namespace {

std::uint32_t flags_of(model::XdpMode mode) {
  switch (mode) {
  case model::XdpMode::SKB:
    return XDP_FLAGS_SKB_MODE;
  case model::XdpMode::DRV:
    return XDP_FLAGS_DRV_MODE;
  case model::XdpMode::HW:
    return XDP_FLAGS_HW_MODE;
  }
  return 0;
}

/// 0: the link's interface has gone.
std::uint32_t ifindex_of(int link) {
  bpf_link_info info{};
  std::uint32_t length = sizeof info;
  return bpf_obj_get_info_by_fd(link, &info, &length) ? 0 : info.xdp.ifindex;
}

std::uint32_t program_id_of(int link) {
  bpf_link_info info{};
  std::uint32_t length = sizeof info;
  return bpf_obj_get_info_by_fd(link, &info, &length) ? 0 : info.prog_id;
}

model::XdpMode mode_of(std::uint32_t ifindex) {
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  if (bpf_xdp_query(static_cast<int>(ifindex), 0, &query))
    return model::XdpMode::DRV;
  return query.attach_mode == XDP_ATTACHED_SKB  ? model::XdpMode::SKB
         : query.attach_mode == XDP_ATTACHED_HW ? model::XdpMode::HW
                                                : model::XdpMode::DRV;
}

/// Why the kernel refuses. bpf_link_create gives only an errno; the older netlink call gives the
/// driver's own words, so it is asked too, and taken back at once in case it succeeds.
std::string refusal(int error, int program, std::uint32_t ifindex, model::XdpMode mode) {
  LibbpfLog log;
  const auto flags = flags_of(mode) | XDP_FLAGS_UPDATE_IF_NOEXIST;
  if (bpf_xdp_attach(static_cast<int>(ifindex), program, flags, nullptr) == 0)
    bpf_xdp_detach(static_cast<int>(ifindex), flags_of(mode), nullptr);
  std::string text = std::strerror(error);
  if (const auto words = log.kernel_message(); !words.empty())
    text += " (" + words + ")";
  switch (error) {
  case EBUSY:
  case EEXIST:
    return text + "; another XDP program is attached there, take it off first";
  case EOPNOTSUPP:
  case EINVAL:
    return text + "; try mode SKB, which works with every driver";
  case ENODEV:
    return text + "; the interface has gone";
  case EPERM:
    return text + "; CAP_NET_ADMIN and CAP_BPF are needed";
  default:
    return text;
  }
}

Fd copy_of(const Fd& fd) {
  return Fd(fd ? fcntl(fd.get(), F_DUPFD_CLOEXEC, 3) : -1);
}

Fd pinned_program(const std::filesystem::path& path) {
  return Fd(bpf_obj_get(path.c_str()));
}

/// 0: it cannot be looked at.
std::uint32_t id_of(const Fd& program) {
  const auto info = program ? program_info(program.get()) : fail(Code::not_found, "");
  return info ? info->id : 0;
}

std::string tag_of(const Fd& program) {
  const auto info = program ? program_info(program.get()) : fail(Code::not_found, "");
  return info ? info->tag : "";
}

void unpin(const std::filesystem::path& path) {
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
}

void move_pin(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code ignored;
  std::filesystem::rename(from, to, ignored);
}

std::string version_of(const Maps& maps, std::uint32_t id) {
  for (const auto& label : maps.program_labels())
    if (label.program == id)
      return std::string(name_in(label.version));
  return {};
}

Result<planner::Program> describe(const Maps& maps, const Fd& program) {
  auto info = program ? program_info(program.get()) : fail(Code::not_found, "");
  if (info) {
    info->version = version_of(maps, info->id);
    info->multi_buffer = is_multi_buffer(program.get(), maps);
  }
  return info;
}

}  // namespace

void Attachments::forget(const std::string& interface) {
  for (const auto& path :
       {folder_.link(interface), folder_.program(interface), folder_.previous(interface),
        folder_.incoming(interface), folder_.marking(interface), folder_.marking_clsact(interface)})
    unpin(path);
  attached_.erase(interface);
}

Attachments Attachments::adopt(const PinFolder& folder, const Maps& maps) {
  Attachments attachments(folder);
  for (const auto& name : folder.linked_interfaces()) {
    Fd link(bpf_obj_get(folder.link(name).c_str()));
    const auto ifindex = link ? ifindex_of(link.get()) : 0;
    if (ifindex == 0) {
      attachments.forget(name);
      continue;
    }
    Attached attached{
        .link = std::move(link), .program = {}, .previous = {}, .mode = mode_of(ifindex)};
    attachments.adopt_programs(name, attached);
    // A multi-buffer program on an interface of a small MTU was what its driver took: it stays.
    attached.jumbo = attached.program && is_multi_buffer(attached.program.get(), maps) &&
                     planner::is_jumbo(attached.mode, mtu_of(ifindex));
    // What cannot be renewed is missed by the planner, which puts it on again.
    if (!renew_marking(folder, name, ifindex))
      take_off_marking(folder, name, ifindex);
    attachments.attached_.emplace(name, std::move(attached));
  }
  attachments.adopt_others();
  return attachments;
}

/// swap() pins the new program as incoming, updates the link, moves the old pin to the previous one
/// and the new pin to its place. Which of these was the last is told by what the link leads to.
void Attachments::adopt_programs(const std::string& interface, Attached& attached) const {
  const auto running = program_id_of(attached.link.get());
  const auto place = folder_.program(interface), incoming = folder_.incoming(interface);
  attached.program = pinned_program(place);
  if (auto arrived = pinned_program(incoming); arrived && id_of(arrived) == running) {
    if (attached.program && id_of(attached.program) != running &&
        tag_of(attached.program) != tag_of(arrived))
      move_pin(place, folder_.previous(interface));
    move_pin(incoming, place);
    attached.program = std::move(arrived);
  }
  unpin(incoming);
  if (id_of(attached.program) != running) {
    // Somebody updated the link past us. Looking a program up by its id takes CAP_SYS_ADMIN.
    attached.program = Fd(bpf_prog_get_fd_by_id(running));
    unpin(place);
    if (attached.program)
      bpf_obj_pin(attached.program.get(), place.c_str());
  }
  attached.previous = pinned_program(folder_.previous(interface));
}

void Attachments::adopt_others() {
  for (const auto& other : folder_.others()) {
    bool used = false;
    for (const auto& name : other.linked_interfaces()) {
      Fd link(bpf_obj_get(other.link(name).c_str()));
      const auto ifindex = link ? ifindex_of(link.get()) : 0;
      if (ifindex == 0)
        continue;
      used = true;
      Attached attached{.link = std::move(link),
                        .program = pinned_program(other.program(name)),
                        .previous = {},
                        .mode = mode_of(ifindex)};
      inherited_.emplace(name, Inherited{std::move(attached), other});
    }
    if (!used)
      other.remove_layout();
  }
}

void Attachments::label(const Maps& maps, int program, const std::string& version) const {
  const auto info = program_info(program);
  if (!info)
    return;
  std::set<std::uint32_t> used;
  for (const auto& [name, attached] : attached_)
    used.insert({id_of(attached.program), id_of(attached.previous)});
  used.erase(0);
  for (auto& label : maps.program_labels())  // of a program that had this id before
    if (label.program == info->id)
      label.program = 0;
  for (auto& label : maps.program_labels())
    if (!used.contains(label.program)) {
      label.program = 0;
      set_name(label.version, version);
      label.program = info->id;
      return;
    }
}

Result<void> Attachments::attach(const Maps& maps, const std::string& interface,
                                 const planner::InterfaceImage& image, const LoadVariant& load) {
  if (if_nametoindex(interface.c_str()) != image.ifindex)
    return fail(Code::not_found, "cannot attach to " + interface + ": there is no such interface");
  Fd link;
  auto loaded =
      offer(load, image.mode, image.jumbo,
            [&](const LoadedProgram& offered, int& refused) -> Result<void> {
              const int program = offered.program.get();
              LIBBPF_OPTS(bpf_link_create_opts, options);
              options.flags = flags_of(image.mode);
              link =
                  Fd(bpf_link_create(program, static_cast<int>(image.ifindex), BPF_XDP, &options));
              if (link)
                return {};
              refused = errno;
              return fail(Code::kernel, refusal(refused, program, image.ifindex, image.mode));
            });
  if (!loaded)
    return fail(loaded.error().code,
                "cannot attach to " + interface + ": " + loaded.error().message);
  auto& program = loaded->program;
  forget(interface);  // pins of a link whose interface went and came back
  if (bpf_obj_pin(link.get(), folder_.link(interface).c_str()) ||
      bpf_obj_pin(program.get(), folder_.program(interface).c_str())) {
    const std::string reason = std::strerror(errno);
    forget(interface);
    return fail(Code::kernel, "the link of " + interface + " cannot be pinned: " + reason);
  }
  label(maps, program.get(), loaded->version);
  attached_.emplace(interface, Attached{.link = std::move(link),
                                        .program = std::move(program),
                                        .previous = {},
                                        .mode = image.mode,
                                        .jumbo = image.jumbo});
  return {};
}

Result<void> Attachments::detach(const std::string& interface) {
  const auto found = attached_.find(interface);
  const auto inherited = inherited_.find(interface);
  if (found == attached_.end() && inherited == inherited_.end())
    return fail(Code::not_found, "nothing is attached to " + interface);
  const auto& link =
      found != attached_.end() ? found->second.link : inherited->second.attached.link;
  take_off_marking(folder_, interface, ifindex_of(link.get()));
  // The unpinned link would go with its last descriptor, which may be anyone's: detach it for
  // certain.
  if (ifindex_of(link.get()) != 0 && bpf_link_detach(link.get()))
    return fail(Code::kernel, "cannot detach from " + interface + ": " + std::strerror(errno));
  if (inherited != inherited_.end()) {
    unpin(inherited->second.folder.link(interface));
    unpin(inherited->second.folder.program(interface));
    inherited_.erase(inherited);
  }
  if (found != attached_.end())
    forget(interface);
  return {};
}

Result<void> Attachments::swap(const std::string& interface, Attached& attached, Fd program,
                               int* refused) {
  const auto incoming = folder_.incoming(interface);
  unpin(incoming);
  if (bpf_obj_pin(program.get(), incoming.c_str()))
    return fail(Code::kernel,
                "the program for " + interface + " cannot be pinned: " + std::strerror(errno));
  LIBBPF_OPTS(bpf_link_update_opts, options);
  if (attached.program) {
    options.flags = BPF_F_REPLACE;
    options.old_prog_fd = static_cast<std::uint32_t>(attached.program.get());
  }
  if (bpf_link_update(attached.link.get(), program.get(), &options)) {
    const int error = errno;
    if (refused)
      *refused = error;
    unpin(incoming);
    return fail(error == EPERM ? Code::stale : Code::kernel,
                "the program on " + interface + " cannot be replaced: " +
                    (error == EPERM ? "another one than sluiced put there is attached; restart "
                                      "sluiced, which adopts it, and try again"
                                    : std::strerror(error)));
  }
  if (attached.program && tag_of(attached.program) != tag_of(program)) {
    move_pin(folder_.program(interface), folder_.previous(interface));
    attached.previous = std::move(attached.program);
  }
  move_pin(incoming, folder_.program(interface));
  attached.program = std::move(program);
  return {};
}

Result<void> Attachments::replace(const Maps& maps, const std::string& interface,
                                  const LoadVariant& load) {
  const auto found = attached_.find(interface);
  if (found == attached_.end())
    return fail(Code::not_found, "nothing is attached to " + interface);
  auto& attached = found->second;
  auto taken =
      offer(load, attached.mode, attached.jumbo, [&](const LoadedProgram& offered, int& refused) {
        if (!offered.version.empty())
          label(maps, offered.program.get(), offered.version);
        return swap(interface, attached, copy_of(offered.program), &refused);
      });
  return taken ? Result<void>() : fail(taken.error());
}

Result<void> Attachments::put_back(const Maps& maps, const std::string& interface,
                                   const LoadSame& load) {
  const auto found = attached_.find(interface);
  if (found == attached_.end())
    return fail(Code::not_found, "nothing is attached to " + interface);
  if (!found->second.previous)
    return fail(Code::invalid, "there is no program to go back to on " + interface);
  const auto before = copy_of(found->second.previous);
  return replace(maps, interface, [&](bool multi_buffer) -> Result<LoadedProgram> {
    auto info = describe(maps, before);
    if (!info)
      return fail(info.error());
    // It has its label already.
    return info->multi_buffer == multi_buffer ? LoadedProgram{copy_of(before), {}}
                                              : load(*info, multi_buffer);
  });
}

Result<void> Attachments::fit(const Maps& maps, const std::string& interface, bool jumbo,
                              const LoadSame& load) {
  const auto found = attached_.find(interface);
  if (found == attached_.end())
    return fail(Code::not_found, "nothing is attached to " + interface);
  auto& attached = found->second;
  auto running = describe(maps, attached.program);
  if (!running)
    return fail(running.error());
  if (running->multi_buffer != jumbo) {
    auto program = load(*running, jumbo);
    if (!program && (jumbo || program.error().code != Code::not_found))
      return fail(program.error());
    if (program) {
      label(maps, program->program.get(), program->version);
      int refused = 0;
      auto swapped = swap(interface, attached, std::move(program->program), &refused);
      if (!swapped && (refused == 0 || whatever_the_variant(refused)))
        return swapped;
    }
  }
  attached.jumbo = jumbo;
  return {};
}

Result<void> Attachments::take_over(const Maps& maps, const std::string& interface,
                                    const planner::InterfaceImage& image, const LoadVariant& load) {
  const auto found = inherited_.find(interface);
  if (found == inherited_.end())
    return fail(Code::not_found, "no other layout of maps holds " + interface);
  auto& [attached, folder] = found->second;
  auto loaded =
      offer(load, image.mode, image.jumbo,
            [&](const LoadedProgram& offered, int& refused) -> Result<void> {
              forget(interface);
              if (bpf_obj_pin(offered.program.get(), folder_.program(interface).c_str()))
                return fail(Code::kernel,
                            std::string("its program cannot be pinned: ") + std::strerror(errno));
              if (bpf_link_update(attached.link.get(), offered.program.get(), nullptr) == 0)
                return {};
              refused = errno;
              forget(interface);
              return fail(Code::kernel, std::strerror(refused));
            });
  if (!loaded)
    return fail(loaded.error().code,
                interface + " cannot be taken over: " + loaded.error().message);
  take_off_marking(folder, interface, image.ifindex);  // its pins go with the old layout
  move_pin(folder.link(interface), folder_.link(interface));
  label(maps, loaded->program.get(), loaded->version);
  attached_.emplace(interface, Attached{.link = copy_of(attached.link),
                                        .program = std::move(loaded->program),
                                        .previous = {},
                                        .mode = image.mode,
                                        .jumbo = image.jumbo});
  taken_over_.insert(inherited_.extract(found));
  return {};
}

Result<void> Attachments::give_back() {
  std::string left;
  for (auto& [name, taken] : taken_over_) {
    auto& [attached, folder] = taken;
    if (!attached.program ||
        bpf_link_update(attached.link.get(), attached.program.get(), nullptr)) {
      left += (left.empty() ? "" : "; ") + name + " keeps its new program";
      continue;
    }
    move_pin(folder_.link(name), folder.link(name));
    forget(name);
    inherited_.insert_or_assign(name, std::move(taken));
  }
  taken_over_.clear();
  if (!left.empty())
    return fail(Code::kernel, left);
  return {};
}

void Attachments::forget_taken_over() {
  taken_over_.clear();
  for (const auto& other : folder_.others())
    if (other.linked_interfaces().empty())
      other.remove_layout();
}

std::map<std::string, Attachments::Kept> Attachments::programs() const {
  std::map<std::string, Kept> programs;
  for (const auto& [name, attached] : attached_)
    programs.emplace(name,
                     Kept{copy_of(attached.program), copy_of(attached.previous), attached.jumbo});
  return programs;
}

Result<void> Attachments::restore(const std::string& interface, const Kept& programs) {
  const auto found = attached_.find(interface);
  if (found == attached_.end())
    return {};
  auto& attached = found->second;
  attached.jumbo = programs.jumbo;
  if (id_of(attached.program) == id_of(programs.running))
    return {};
  if (auto swapped = swap(interface, attached, copy_of(programs.running)); !swapped)
    return swapped;
  unpin(folder_.previous(interface));
  attached.previous = copy_of(programs.previous);
  if (attached.previous)
    bpf_obj_pin(attached.previous.get(), folder_.previous(interface).c_str());
  return {};
}

Result<void> Attachments::start_marking(const std::string& interface) {
  const auto found = attached_.find(interface);
  if (found == attached_.end())
    return fail(Code::not_found, "nothing is attached to " + interface);
  return put_on_marking(folder_, interface, ifindex_of(found->second.link.get()));
}

Result<void> Attachments::stop_marking(const std::string& interface) {
  if (const auto found = attached_.find(interface); found != attached_.end())
    take_off_marking(folder_, interface, ifindex_of(found->second.link.get()));
  return {};
}

std::map<std::string, planner::InterfaceImage> Attachments::running() const {
  std::map<std::string, planner::InterfaceImage> running;
  for (const auto& [name, attached] : attached_)
    if (const auto ifindex = ifindex_of(attached.link.get()))
      running.emplace(name, planner::InterfaceImage{.ifindex = ifindex,
                                                    .mode = attached.mode,
                                                    .marks = is_marking(folder_, name, ifindex),
                                                    .jumbo = attached.jumbo});
  return running;
}

std::map<std::string, planner::InheritedImage> Attachments::inherited() const {
  std::map<std::string, planner::InheritedImage> inherited;
  for (const auto& [name, one] : inherited_)
    if (const auto ifindex = ifindex_of(one.attached.link.get()))
      inherited.emplace(name,
                        planner::InheritedImage{{ifindex, one.attached.mode}, one.folder.layout()});
  return inherited;
}

Result<std::vector<Attachment>> Attachments::list(const Maps& maps) const {
  std::vector<Attachment> list;
  for (const auto& [name, attached] : attached_) {
    const auto ifindex = ifindex_of(attached.link.get());
    if (ifindex == 0)
      continue;
    Attachment attachment{.interface = name,
                          .ifindex = ifindex,
                          .mode = attached.mode,
                          .program = {},
                          .previous = {}};
    if (auto running = describe(maps, attached.program))
      attachment.program = std::move(*running);
    attachment.program.id = program_id_of(attached.link.get());
    attachment.outdated = attachment.program.tag != maps.built_in_tag();
    if (auto previous = describe(maps, attached.previous))
      attachment.previous = std::move(*previous);
    list.push_back(std::move(attachment));
  }
  return list;
}

}  // namespace sluice::dataplane::xdp
