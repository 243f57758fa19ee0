// What packets cost in the program, as a table: in all, or since an earlier reply.
#pragma once

#include "cli/format.hpp"
#include "cli/view.hpp"

namespace sluice::cli {

/// One row for each interface on which packets were timed between two replies of the counters.
/// @param before the earlier one; nothing: since the counters were made
Table timing_table(View before, View after);

}  // namespace sluice::cli
