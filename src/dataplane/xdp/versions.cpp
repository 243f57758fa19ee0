#include "dataplane/xdp/versions.hpp"

#include <algorithm>

#include "abi.h"
#include "dataplane/xdp/libbpf_log.hpp"
#include "dataplane/xdp/maps.hpp"

namespace sluice::dataplane::xdp {

namespace {

constexpr std::string_view before = "xdp_lb-", after = ".o";

/// Why an object cannot run on these maps, in words that name both sides and what helps.
Result<void> check(const Identity& identity, const bpf_object* object, const Maps& maps) {
  const std::string daemon = "sluiced " SLUICE_VERSION;
  if (identity.abi != SL_ABI_VERSION)
    return fail(Code::unsupported,
                "program version " + identity.version + " keeps its maps in layout " +
                    std::to_string(identity.abi) + ", " + daemon + " in layout " +
                    std::to_string(SL_ABI_VERSION) +
                    ": it needs the sluiced that it was built with. Start that one: it takes the "
                    "interfaces over in place");
  if (auto fits = maps.fit(object); !fits)
    return fail(fits.error().code, "program version " + identity.version +
                                       " does not fit the maps of " + daemon + ": " +
                                       fits.error().message +
                                       ". It needs the sluiced that it was built with: 'sluicectl "
                                       "detach --all', start that one, attach anew");
  return {};
}

}  // namespace

std::vector<std::string> Versions::files() const {
  std::vector<std::string> names;
  std::error_code error;
  if (!folder_.empty())
    for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
      const auto file = entry.path().filename().string();
      if (file.starts_with(before) && file.ends_with(after) &&
          file.size() > before.size() + after.size())
        names.push_back(file.substr(before.size(), file.size() - before.size() - after.size()));
    }
  std::ranges::sort(names);
  return names;
}

Result<Versions::Opened> Versions::open(std::string_view name, const Maps& maps) const {
  const auto known = files();
  if (name != built_in && std::ranges::find(known, name) == known.end()) {
    std::string all(built_in);
    for (const auto& one : known)
      all += ", " + one;
    return fail(Code::not_found,
                "there is no program version '" + std::string(name) + "'; there is: " + all);
  }
  auto object =
      name == built_in
          ? open_object()
          : open_object(folder_ / (std::string(before) + std::string(name) + std::string(after)));
  if (!object)
    return fail(object.error());
  auto identity = identity_of(object->get());
  if (!identity)
    return fail(identity.error());
  if (auto fits = check(*identity, object->get(), maps); !fits)
    return fail(fits.error());
  return Opened{std::move(*object), identity->version};
}

std::vector<ProgramVersion> Versions::list(const Maps& maps) const {
  auto names = files();
  names.insert(names.begin(), std::string(built_in));
  std::vector<ProgramVersion> versions;
  for (const auto& name : names) {
    auto opened = open(name, maps);
    versions.push_back({.name = name,
                        .version = opened ? opened->version : "",
                        .problem = opened ? "" : opened.error().message});
  }
  return versions;
}

}  // namespace sluice::dataplane::xdp
