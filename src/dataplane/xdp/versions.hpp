// Versions of the program that can be loaded: the one inside this binary, and objects of other
// builds in a folder.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "dataplane/dataplane.hpp"
#include "dataplane/xdp/program.hpp"

namespace sluice::dataplane::xdp {

class Maps;

/// The name of the version inside this binary.
inline constexpr std::string_view built_in = "built-in";

class Versions {
 public:
  /// @param folder with files `xdp_lb-NAME.o`; empty: there are no others than the built-in one
  explicit Versions(std::filesystem::path folder = {}) : folder_(std::move(folder)) {}

  /// The built-in one first, then the files by name. Each is read anew; those that do not fit the
  /// maps say why.
  std::vector<ProgramVersion> list(const Maps& maps) const;

  struct Opened {
    Object object;
    std::string version;  ///< what it says of itself
  };
  /// An object that fits the maps. Errors: Code::not_found if there is none of that name,
  /// Code::unsupported if its maps have another layout, with both versions and what helps.
  Result<Opened> open(std::string_view name, const Maps& maps) const;

 private:
  std::vector<std::string> files() const;
  std::filesystem::path folder_;
};

}  // namespace sluice::dataplane::xdp
