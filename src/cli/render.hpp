// Replies of the daemon as text for people. Pure: JSON in, text out.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "cli/view.hpp"

namespace sluice::cli {

/// A problem document (RFC 9457): what went wrong, then each fault with where it is and how to mend
/// it. The request's id only where the daemon failed, since then its log says more.
std::string render_problem(View problem, unsigned status);
/// One fault of a document, indented.
std::string render_fault(std::string_view pointer, std::string_view message,
                         std::string_view suggestion);

/// The steps of a plan, how many slots change hands, and warnings; "nothing to do" for an empty
/// one.
std::string render_plan(View plan, bool colour);
/// The reply to a change: the plan if it was a dry run, otherwise what was done.
std::string render_change(View reply, bool dry_run, bool colour);

std::string render_status(View status, bool colour);
std::string render_stats(View stats, bool colour);
std::string render_history(View history, bool colour);
std::string render_services(View services, bool colour);
std::string render_pools(View pools, bool colour);
/// With the share that each backend has of its pool's slots. `backends` holds all backends of the
/// pools it touches.
std::string render_backends(View backends, bool colour);
std::string render_interfaces(View interfaces, bool colour);
/// The program on each interface with the one before it, and the versions that can be put there.
std::string render_programs(View programs, bool colour);
/// The reply to a reload or rollback of programs.
std::string render_program_change(View reply, bool dry_run, bool colour);
/// One object, a line for each member; members that are lists or objects in short JSON.
std::string render_details(View object, bool colour);

/// JSON over several lines, two blanks a level, short lists of plain values on one line.
std::string render_json(const boost::json::value& value);

}  // namespace sluice::cli
