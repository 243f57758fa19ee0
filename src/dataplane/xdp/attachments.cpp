#include "dataplane/xdp/attachments.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>

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

}  // namespace

void Attachments::forget(const std::string& interface) {
  std::error_code ignored;
  std::filesystem::remove(folder_.link(interface), ignored);
  std::filesystem::remove(folder_.program(interface), ignored);
  std::filesystem::remove(folder_.marking(interface), ignored);
  std::filesystem::remove(folder_.marking_clsact(interface), ignored);
  attached_.erase(interface);
}

Result<Attachments> Attachments::adopt(const PinFolder& folder, const Maps& maps) {
  Attachments attachments(folder);
  std::string newest;  // the tag of this build's program, loaded only if there is something to
                       // compare it with
  for (const auto& name : folder.linked_interfaces()) {
    Fd link(bpf_obj_get(folder.link(name).c_str()));
    const auto ifindex = link ? ifindex_of(link.get()) : 0;
    if (ifindex == 0) {
      attachments.forget(name);
      continue;
    }
    Attached attached{.link = std::move(link),
                      .program = Fd(bpf_obj_get(folder.program(name).c_str())),
                      .mode = mode_of(ifindex)};
    std::uint32_t slot = 0;
    while (slot < SL_MAX_INTERFACES && maps.control().interfaces[slot] != ifindex)
      slot++;
    auto program = load_program(maps, slot % SL_MAX_INTERFACES);
    if (!program)
      return fail(program.error());
    auto ours = program_info(program->get());
    auto running =
        attached.program ? program_info(attached.program.get()) : fail(Code::not_found, "");
    if (ours && (!running || ours->tag != running->tag)) {
      if (bpf_link_update(attached.link.get(), program->get(), nullptr))
        return fail(Code::kernel,
                    "the program on " + name + " cannot be replaced: " + std::strerror(errno));
      std::error_code ignored;
      std::filesystem::remove(folder.program(name), ignored);
      bpf_obj_pin(program->get(), folder.program(name).c_str());
      attached.program = std::move(*program);
    }
    if (auto renewed = renew_marking(folder, name, ifindex); !renewed)
      return fail(renewed.error());
    attachments.attached_.emplace(name, std::move(attached));
  }
  return attachments;
}

Result<void> Attachments::attach(const Maps& maps, const std::string& interface,
                                 const planner::InterfaceImage& image, std::uint32_t slot) {
  if (if_nametoindex(interface.c_str()) != image.ifindex)
    return fail(Code::not_found, "cannot attach to " + interface + ": there is no such interface");
  auto program = load_program(maps, slot);
  if (!program)
    return fail(program.error());
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.flags = flags_of(image.mode);
  Fd link(bpf_link_create(program->get(), static_cast<int>(image.ifindex), BPF_XDP, &options));
  if (!link) {
    const int error = errno;
    return fail(Code::kernel, "cannot attach to " + interface + ": " +
                                  refusal(error, program->get(), image.ifindex, image.mode));
  }
  forget(interface);  // pins of a link whose interface went and came back
  if (bpf_obj_pin(link.get(), folder_.link(interface).c_str()) ||
      bpf_obj_pin(program->get(), folder_.program(interface).c_str())) {
    const std::string reason = std::strerror(errno);
    forget(interface);
    return fail(Code::kernel, "the link of " + interface + " cannot be pinned: " + reason);
  }
  attached_.emplace(interface, Attached{std::move(link), std::move(*program), image.mode});
  return {};
}

Result<void> Attachments::detach(const std::string& interface) {
  const auto found = attached_.find(interface);
  if (found == attached_.end())
    return fail(Code::not_found, "nothing is attached to " + interface);
  take_off_marking(folder_, interface, ifindex_of(found->second.link.get()));
  // The unpinned link would go with its last descriptor, which may be anyone's: detach it for
  // certain.
  if (ifindex_of(found->second.link.get()) != 0 && bpf_link_detach(found->second.link.get()))
    return fail(Code::kernel, "cannot detach from " + interface + ": " + std::strerror(errno));
  forget(interface);
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
      running.emplace(name, planner::InterfaceImage{ifindex, attached.mode,
                                                    is_marking(folder_, name, ifindex)});
  return running;
}

Result<std::vector<Attachment>> Attachments::list() const {
  std::vector<Attachment> list;
  for (const auto& [name, attached] : attached_) {
    const auto ifindex = ifindex_of(attached.link.get());
    if (ifindex == 0)
      continue;
    Attachment attachment{.interface = name, .ifindex = ifindex, .mode = attached.mode, .tag = {}};
    attachment.program_id = program_id_of(attached.link.get());
    if (auto info = program_info(attached.program.get()))
      attachment.tag = info->tag;
    list.push_back(std::move(attachment));
  }
  return list;
}

}  // namespace sluice::dataplane::xdp
