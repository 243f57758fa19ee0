# What the commands of ./run share: saying what happens, installing packages, building.
# shellcheck shell=bash

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() {
  printf 'run: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    die "this needs root; run it as root or install sudo"
  fi
}

# Goes on as root: namespaces and XDP need it. Uses the globals root and command of ./run.
as_root_from_here() {
  [ "$(id -u)" != 0 ] || return 0
  command -v sudo >/dev/null || die "this needs root for network namespaces and XDP; run it as root or install sudo"
  say "this needs root for network namespaces and XDP; going on with sudo"
  exec sudo --preserve-env=CI,SLUICE_BUILD "$root/run" "$command" "$@"
}

# Installs those packages of the given groups that are missing; says nothing when all are there.
install_packages() {
  local group package missing=()
  for group in "$@"; do
    for package in $(sed -n "s/^$group: //p" "$root/scripts/packages"); do
      dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
  done
  [ ${#missing[@]} = 0 ] && return
  command -v apt-get >/dev/null || die "these packages are missing and there is no apt-get: ${missing[*]}"
  say "installing ${#missing[@]} missing packages"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
    die "the package lists cannot be read; check the network and /etc/apt/sources.list"
  # Servers that a package brings along must not start on this machine: the lab runs its own.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >"$root/build/install.log" 2>&1 || {
    tail -n 20 "$root/build/install.log" >&2
    die "packages could not be installed; the whole output is in build/install.log"
  }
}

# Shows how far a build is, from ninja's lines on standard input: one line that changes on a terminal, every tenth otherwise.
progress() {
  local line tenth=0
  while IFS= read -r line; do
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\  ]] || continue
    if [ -t 2 ]; then
      printf '\r    %d of %d' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" >&2
    elif ((BASH_REMATCH[1] * 10 / BASH_REMATCH[2] > tenth)); then
      tenth=$((BASH_REMATCH[1] * 10 / BASH_REMATCH[2]))
      printf '    %d of %d\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" >&2
    fi
  done
  [ ! -t 2 ] || printf '\r\033[K' >&2
}

# build PRESET [TARGET …]
build() {
  local preset=$1
  shift
  # What root builds for a user who came with sudo belongs to that user.
  [ -z "${SUDO_UID:-}" ] || trap 'chown -R "$SUDO_UID:$SUDO_GID" "$root/build"' RETURN EXIT
  local launcher=()
  command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  say "building ($preset)"
  (cd "$root" && cmake --preset "$preset" "${launcher[@]}") >"$root/build/configure-$preset.log" 2>&1 || {
    tail -n 30 "$root/build/configure-$preset.log" >&2
    die "cmake failed"
  }
  NINJA_STATUS='[%f/%t %es] ' cmake --build "$root/build/$preset" --parallel -- "$@" 2>&1 |
    tee "$root/build/build-$preset.log" | progress || {
    grep -vE '^\[[0-9]+/' "$root/build/build-$preset.log" | tail -n 60 >&2
    die "the build failed; the whole output is in build/build-$preset.log"
  }
  [ "$preset" = release ] && ln -sf "build/release/compile_commands.json" "$root/compile_commands.json"
  return 0
}

# One sentence for each thing without which XDP cannot run here.
check_kernel() {
  [ -r /sys/kernel/btf/vmlinux ] || die "this kernel has no BTF (/sys/kernel/btf/vmlinux); use a kernel with CONFIG_DEBUG_INFO_BTF, such as Debian 12's"
  unshare --net true 2>/dev/null || die "network namespaces cannot be made here; run it on a machine or VM where root may do so"
}
