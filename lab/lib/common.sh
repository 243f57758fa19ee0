# Shared by lab/lab, run and the scenarios: where things are, how to say what is wrong. Sourced, never run.
# shellcheck shell=bash

SLUICE_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SLUICE_BUILD=${SLUICE_BUILD:-$SLUICE_ROOT/build/release}
LAB_RUN=/run/sluice-lab

# Debian keeps the tools of an administrator where a plain user's PATH does not look.
case :$PATH: in *:/usr/sbin:*) ;; *) PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin ;; esac

# Ends with one sentence, and the cure if there is one: die SENTENCE [CURE]
die() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  [ -z "${2:-}" ] || printf '  cure: %s\n' "$2" >&2
  exit 1
}

say() { printf '%s\n' "$*"; }

# The programs of the build, by name.
sluiced_path() { printf '%s' "$SLUICE_BUILD/src/daemon/sluiced"; }
sluicectl_path() { printf '%s' "$SLUICE_BUILD/src/cli/sluicectl"; }
lab_tool() { printf '%s' "$SLUICE_BUILD/lab/sluice-lab-$1"; }
bpf_object() { printf '%s' "$SLUICE_BUILD/bpf/$1.bpf.o"; }

# Rights and kernel features that the lab cannot do without; each says its cure.
require_kernel() {
  [ "$(id -u)" = 0 ] || die "the lab makes network namespaces and loads BPF programs, which needs root" \
    "run it as root or with sudo"
  [ -r /sys/kernel/btf/vmlinux ] || die "this kernel has no type information (/sys/kernel/btf/vmlinux)" \
    "boot a kernel built with CONFIG_DEBUG_INFO_BTF, such as Debian 12's"
  grep -qw bpf /proc/filesystems || die "this kernel has no BPF file system" \
    "boot a kernel built with CONFIG_BPF_SYSCALL, such as Debian 12's"
  unshare --net true 2>/dev/null || die "this machine does not let root make network namespaces" \
    "run it on a machine or in a container with CAP_SYS_ADMIN and CAP_NET_ADMIN"
  unshare --mount --propagation private mount -t bpf bpf /sys/fs/bpf 2>/dev/null ||
    die "the BPF file system cannot be mounted" "run it on a machine or in a container with CAP_SYS_ADMIN"
  # A veth pair that takes a native program tells of the veth module, CAP_NET_ADMIN and XDP at once.
  local object
  object=$(bpf_object xdp_pass)
  [ ! -r "$object" ] || unshare --net sh -c '
    ip link add probe0 type veth peer name probe1 && ip link set dev probe0 xdpdrv obj "$1" sec xdp' sh "$object" \
    >/dev/null 2>&1 || die "this kernel does not attach native XDP programs to veth" \
    "boot a kernel of 6.1 or later with CONFIG_VETH and CONFIG_BPF_JIT, and give the process CAP_BPF"
}
