#include "dataplane/xdp/bpffs.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/statfs.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "abi.h"

namespace sluice::dataplane::xdp {

namespace fs = std::filesystem;

namespace {

constexpr const char* mount_point = "/sys/fs/bpf";

/// bpffs refuses dots; names of interfaces may have them.
std::string encode(std::string_view name) {
  std::string encoded;
  for (const char c : name) {
    if (c == '.')
      encoded += "%2e";
    else if (c == '%')
      encoded += "%25";
    else
      encoded += c;
  }
  return encoded;
}

std::string decode(std::string_view name) {
  std::string decoded;
  for (std::size_t i = 0; i < name.size(); i++) {
    const auto rest = name.substr(i);
    const bool escaped = rest.starts_with("%2e") || rest.starts_with("%25");
    decoded += rest.starts_with("%2e") ? '.' : name[i];
    i += escaped ? 2 : 0;
  }
  return decoded;
}

}  // namespace

PinFolder::PinFolder(fs::path instance, std::uint32_t layout)
    : instance_(std::move(instance)), version_(instance_ / ("v" + std::to_string(layout))),
      layout_(layout) {}

Result<PinFolder> PinFolder::of(std::string_view instance) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; };
  if (instance.empty() || instance.size() > 63 || !std::ranges::all_of(instance, allowed))
    return fail(Code::invalid,
                "'" + std::string(instance) +
                    "' is not an instance name; use up to 63 letters, digits, '_' and '-'");
  return PinFolder(fs::path(mount_point) / "sluice" / instance, SL_ABI_VERSION);
}

Result<void> PinFolder::create() const {
  struct statfs info{};
  if (statfs(mount_point, &info) != 0 || info.f_type != BPF_FS_MAGIC)
    if (mount("bpf", mount_point, "bpf", 0, "mode=0700") != 0)
      return fail(Code::permission, std::string("no BPF file system is mounted at ") + mount_point +
                                        " and it cannot be mounted (" + std::strerror(errno) +
                                        "); run: mount -t bpf bpf " + mount_point);
  std::error_code error;
  for (const auto* folder : {"maps", "links", "progs", "previous", "incoming"}) {
    fs::create_directories(version_ / folder, error);
    if (error)
      return fail(Code::permission,
                  "cannot make " + (version_ / folder).string() + ": " + error.message());
  }
  return {};
}

bool PinFolder::exists() const {
  std::error_code error;
  return fs::exists(instance_, error) || error;  // a folder that may not be looked into is there
}

Result<Fd> PinFolder::lock() const {
  Fd folder(open(instance_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder)
    return fail(Code::permission,
                "cannot open " + instance_.string() + ": " + std::strerror(errno));
  if (flock(folder.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(Code::unavailable, "another sluiced runs the instance '" +
                                       instance_.filename().string() +
                                       "'; stop it, or start this one with another --instance");
  return folder;
}

Result<void> PinFolder::remove_all() const {
  std::error_code error;
  fs::remove_all(instance_, error);
  if (error)
    return fail(Code::kernel, "cannot remove " + instance_.string() + ": " + error.message());
  fs::remove(instance_.parent_path(), error);  // only if no other instance is left
  return {};
}

fs::path PinFolder::map(std::string_view name) const {
  std::string plain(name.substr(name.starts_with('.') ? 1 : 0));
  std::ranges::replace(plain, '.', '_');
  return version_ / "maps" / plain;
}

fs::path PinFolder::link(std::string_view interface) const {
  return version_ / "links" / encode(interface);
}

fs::path PinFolder::program(std::string_view interface) const {
  return version_ / "progs" / encode(interface);
}

fs::path PinFolder::marking(std::string_view interface) const {
  return version_ / "progs" / (encode(interface) + "%mark");
}

fs::path PinFolder::marking_clsact(std::string_view interface) const {
  return version_ / "progs" / (encode(interface) + "%clsact");
}

fs::path PinFolder::previous(std::string_view interface) const {
  return version_ / "previous" / encode(interface);
}

fs::path PinFolder::incoming(std::string_view interface) const {
  return version_ / "incoming" / encode(interface);
}

std::vector<PinFolder> PinFolder::others() const {
  std::vector<PinFolder> others;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(instance_, error)) {
    const auto name = entry.path().filename().string();
    std::uint32_t layout = 0;
    const auto* end = name.data() + name.size();
    if (!name.starts_with('v') || std::from_chars(name.data() + 1, end, layout).ptr != end ||
        name.size() == 1 || layout == layout_)
      continue;
    others.push_back(PinFolder(instance_, layout));
  }
  return others;
}

void PinFolder::remove_layout() const {
  std::error_code ignored;
  fs::remove_all(version_, ignored);
}

std::vector<std::string> PinFolder::linked_interfaces() const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(version_ / "links", error))
    names.push_back(decode(entry.path().filename().string()));
  std::ranges::sort(names);
  return names;
}

}  // namespace sluice::dataplane::xdp
