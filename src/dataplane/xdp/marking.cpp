#include "dataplane/xdp/marking.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "dataplane/xdp/libbpf_log.hpp"
#include "dataplane/xdp/program.hpp"

extern "C" {
extern const char sluice_bpf_tc_mark_begin[];
extern const char sluice_bpf_tc_mark_end[];
}

namespace sluice::dataplane::xdp {

namespace {

/// Our filter's name among others': late, so that the mark is the last word of this hook.
constexpr std::uint32_t handle = 1, priority = 0xc1ce;

bpf_tc_hook hook_of(std::uint32_t ifindex, bpf_tc_attach_point point) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = point;
  return hook;
}

bpf_tc_opts filter() {
  bpf_tc_opts options{};
  options.sz = sizeof options;
  options.handle = handle;
  options.priority = priority;
  return options;
}

Result<Fd> load_marking() {
  LibbpfLog log;
  const Object object(bpf_object__open_mem(
      sluice_bpf_tc_mark_begin,
      static_cast<std::size_t>(sluice_bpf_tc_mark_end - sluice_bpf_tc_mark_begin), nullptr));
  if (!object || bpf_object__load(object.get()))
    return fail(Code::kernel, "the kernel refuses the program that marks packets: " + log.tail());
  const auto* program = bpf_object__find_program_by_name(object.get(), "tc_mark");
  Fd fd(program ? fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 3) : -1);
  if (!fd)
    return fail(Code::internal, "the BPF object has no program tc_mark");
  return fd;
}

/// Whether anyone has a filter at a side of the clsact discipline (TC_H_MIN_INGRESS or _EGRESS).
/// True where that cannot be found out.
bool has_filters(std::uint32_t ifindex, std::uint32_t side) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr header;
    tcmsg message;
  } request{};
  request.header = {.nlmsg_len = sizeof request,
                    .nlmsg_type = RTM_GETTFILTER,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP};
  request.message.tcm_ifindex = static_cast<int>(ifindex);
  request.message.tcm_parent = TC_H_MAKE(TC_H_CLSACT, side);
  if (!socket || send(socket.get(), &request, sizeof request, 0) != sizeof request)
    return true;
  alignas(nlmsghdr) char answer[16384];
  for (;;) {
    const auto received = recv(socket.get(), answer, sizeof answer, 0);
    if (received <= 0)
      return true;
    auto left = static_cast<unsigned>(received);
    for (const auto* header = reinterpret_cast<const nlmsghdr*>(answer); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type == RTM_NEWTFILTER)
        return true;
      if (header->nlmsg_type == NLMSG_DONE)
        return false;
      if (header->nlmsg_type == NLMSG_ERROR)
        return true;
    }
  }
}

void unpin(const std::filesystem::path& pin) {
  std::error_code ignored;
  std::filesystem::remove(pin, ignored);
}

bool is_pinned(const std::filesystem::path& pin) {
  std::error_code ignored;
  return std::filesystem::exists(pin, ignored);
}

}  // namespace

Result<void> put_on_marking(const PinFolder& folder, const std::string& interface,
                            std::uint32_t ifindex) {
  auto program = load_marking();
  if (!program)
    return fail(program.error());
  LibbpfLog log;
  auto hook = hook_of(ifindex, BPF_TC_INGRESS);
  const auto refused = [&](int error) {
    const auto words = log.kernel_message();
    return fail(error == -EPERM ? Code::permission : Code::kernel,
                "packets of " + interface + " cannot be marked: " + std::strerror(-error) +
                    (words.empty() ? "" : " (" + words + ")"));
  };
  if (const int error = bpf_tc_hook_create(&hook); error == 0) {
    unpin(folder.marking_clsact(interface));
    bpf_obj_pin(program->get(), folder.marking_clsact(interface).c_str());
  } else if (error != -EEXIST) {
    return refused(error);
  }
  auto options = filter();
  options.prog_fd = program->get();
  options.flags = BPF_TC_F_REPLACE;
  int error = bpf_tc_attach(&hook, &options);
  if (error == 0) {
    unpin(folder.marking(interface));
    error = bpf_obj_pin(program->get(), folder.marking(interface).c_str()) ? -errno : 0;
  }
  if (error) {
    take_off_marking(folder, interface, ifindex);
    return refused(error);
  }
  return {};
}

void take_off_marking(const PinFolder& folder, const std::string& interface,
                      std::uint32_t ifindex) {
  const bool ours = is_pinned(folder.marking_clsact(interface));
  if (!ours && !is_pinned(folder.marking(interface)))
    return;
  if (ifindex) {
    LibbpfLog quiet;
    auto hook = hook_of(ifindex, BPF_TC_INGRESS);
    const auto options = filter();
    bpf_tc_detach(&hook, &options);
    if (ours && !has_filters(ifindex, TC_H_MIN_INGRESS) && !has_filters(ifindex, TC_H_MIN_EGRESS)) {
      auto both =
          hook_of(ifindex, static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
      bpf_tc_hook_destroy(&both);
    }
  }
  unpin(folder.marking(interface));
  unpin(folder.marking_clsact(interface));
}

bool is_marking(const PinFolder& folder, const std::string& interface, std::uint32_t ifindex) {
  const Fd program(bpf_obj_get(folder.marking(interface).c_str()));
  if (!program)
    return false;
  const auto ours = program_info(program.get());
  LibbpfLog quiet;
  const auto hook = hook_of(ifindex, BPF_TC_INGRESS);
  auto options = filter();
  return ours && bpf_tc_query(&hook, &options) == 0 && options.prog_id == ours->id;
}

Result<void> renew_marking(const PinFolder& folder, const std::string& interface,
                           std::uint32_t ifindex) {
  if (!is_marking(folder, interface, ifindex))
    return {};
  const Fd running(bpf_obj_get(folder.marking(interface).c_str()));
  const auto program = load_marking();
  if (!program)
    return fail(program.error());
  const auto theirs = program_info(running.get()), ours = program_info(program->get());
  return theirs && ours && theirs->tag == ours->tag ? Result<void>{}
                                                    : put_on_marking(folder, interface, ifindex);
}

}  // namespace sluice::dataplane::xdp
