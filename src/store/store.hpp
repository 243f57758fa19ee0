// The embedded store: generations of the configuration in SQLite. Blocking; called from the control
// strand only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace sluice::store {

/// One accepted configuration.
struct Generation {
  std::uint64_t number = 0;   ///< 1, 2, 3, …
  std::int64_t time_ms = 0;   ///< when it was accepted, ms since the epoch
  std::string actor, reason;  ///< who and why
  std::string config;         ///< the whole document as JSON
};

class Store {
 public:
  /// Opens or creates the database file (its folder too) and brings it to the newest schema. A file
  /// of a newer Sluice is refused with the cure.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& file);
  virtual ~Store() = default;

  /// Adds a generation durably and returns its number.
  virtual Result<std::uint64_t> append(const Generation& generation) = 0;
  virtual Result<std::optional<Generation>> newest() = 0;
  /// Newest first, without their documents.
  virtual Result<std::vector<Generation>> history(std::size_t limit) = 0;

  /// A configuration file given at the start is imported only when its content is new: remembers
  /// its hash.
  virtual Result<std::optional<std::string>> imported_hash() = 0;
  virtual Result<void> set_imported_hash(const std::string& hash) = 0;
};

}  // namespace sluice::store
