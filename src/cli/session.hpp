// What a command works with: the daemon, the two outputs, and how results and errors are said.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/client.hpp"
#include "cli/view.hpp"

namespace sluice::cli {

/// The exit codes, as docs/sluicectl.md has them.
enum class Exit : int {
  ok = 0,
  refused = 1,      ///< the daemon refused the request, or the document is not valid
  usage = 2,        ///< the command line is wrong, or a file cannot be read
  unreachable = 3,  ///< no daemon, no right to reach it, or no reply in time
  not_found = 4,    ///< the named thing does not exist
  stale = 5,        ///< another generation is running than the one that was named
  internal = 6,     ///< the daemon or the kernel failed
};

/// The exit code for the status of a reply; ok for every 2xx.
Exit exit_for_status(unsigned status);

struct Session {
  Exchange exchange;
  Address address;
  std::ostream& out;
  std::ostream& err;
  std::istream& in;
  bool json = false;      ///< replies as they come instead of tables
  bool colour = false;    ///< of `out`
  bool terminal = false;  ///< `out` is a terminal: it may be redrawn
  /// Takes the programs off without a daemon; see Loader::remove_instance.
  std::function<Result<std::vector<std::string>>(const std::string& instance,
                                                 const std::optional<std::string>& interface)>
      detach_directly;
  /// Waits a second; false when the caller wants to end.
  std::function<bool()> pause;
  /// Lines that fit on the terminal; 0: no limit.
  std::function<unsigned()> height;
};

/// A reply that was a success, as it came and as JSON.
struct Answer {
  std::string body;
  boost::json::value json;
};

/// Asks the daemon. On a failure, says it on `err` (and the problem document on `out` with
/// `--json`) and gives the exit code.
tl::expected<Answer, Exit> ask(Session& session, const Request& request);
/// Says why there was no reply; gives the exit code.
Exit report(Session& session, const Error& error);
/// Says a mistake of the caller's; gives Exit::usage.
Exit misuse(Session& session, const std::string& message);

/// Prints the answer as it came with `--json`, otherwise as `render` puts it.
Exit show(Session& session, const Answer& answer, const std::function<std::string(View)>& render);
/// GET, then show.
Exit get(Session& session, const std::string& target,
         const std::function<std::string(View)>& render);

/// What every changing command accepts.
struct WriteOptions {
  bool dry_run = false;
  std::string reason;                     ///< for the history
  std::optional<std::uint64_t> if_match;  ///< the generation that the caller saw
};

/// Sends a change. The body is left out if null.
tl::expected<Answer, Exit> send_change(Session& session, const std::string& method,
                                       const std::string& path, const boost::json::value& body,
                                       const WriteOptions& options);

/// Sends a change of the configuration and shows what it did.
Exit change(Session& session, const std::string& method, const std::string& path,
            const boost::json::value& body, const WriteOptions& options);

}  // namespace sluice::cli
