// Where there is room in the data plane's fixed tables: ids and ranges of the slot arena.
#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "planner/image.hpp"

namespace sluice::planner {

/// Gives out ids, the lowest first. The ids that run are not given out, not even those of things
/// that go: their memory is freed only after the change.
class Ids {
 public:
  /// @param limit the first id that does not exist; id 0 is never given out
  Ids(std::set<std::uint16_t> used, std::uint32_t limit);

  std::optional<std::uint16_t> take();
  std::size_t in_use() const { return used_.size(); }  ///< when the change began

 private:
  std::set<std::uint16_t> used_;
  std::uint32_t limit_;
  std::uint32_t next_ = 1;
};

Ids backend_ids(const Image& running);
Ids service_ids(const Image& running);

/// Gives out ranges of the slot arena, first fit, beside all that run and all that it gave out.
class Arena {
 public:
  explicit Arena(const Image& running);

  std::optional<std::uint32_t> take(std::size_t slots);
  std::uint64_t free_slots() const;     ///< all that are free, together
  std::uint64_t largest_range() const;  ///< the most that take() could give

 private:
  std::set<std::pair<std::uint64_t, std::uint64_t>> used_;  ///< base, slots
};

}  // namespace sluice::planner
