// Asking the daemon, and turning replies into output and exit codes.
#include "cli/session.hpp"

#include <algorithm>
#include <ostream>

#include "cli/format.hpp"
#include "cli/render.hpp"

namespace sluice::cli {

namespace {

void print(std::ostream& stream, const std::string& text) {
  stream << text;
  if (!text.empty() && !text.ends_with('\n'))
    stream << '\n';
  stream.flush();
}

}  // namespace

Exit exit_for_status(unsigned status) {
  switch (status) {
  case 404:
    return Exit::not_found;
  case 412:
  case 428:
    return Exit::stale;
  case 501:  // this kernel or driver cannot do it
  case 507:  // a table is full
    return Exit::refused;
  default:
    break;
  }
  if (status >= 200 && status < 300)
    return Exit::ok;
  return status >= 400 && status < 500 ? Exit::refused : Exit::internal;
}

tl::expected<Answer, Exit> ask(Session& session, const Request& request) {
  const auto reply = session.exchange(request);
  if (!reply)
    return tl::unexpected(report(session, reply.error()));

  boost::system::error_code broken;
  auto json = boost::json::parse(reply->body, broken);
  const Exit exit = exit_for_status(reply->status);
  if (exit == Exit::ok && !broken)
    return Answer{reply->body, std::move(json)};

  if (broken) {
    session.err << "sluicectl: " << session.address.to_string() << " answered " << request.method
                << ' ' << request.target << " with status " << reply->status
                << " and no JSON; see whether sluiced listens there\n";
    return tl::unexpected(exit == Exit::ok ? Exit::internal : exit);
  }
  if (session.json)
    print(session.out, reply->body);
  print(session.err, render_problem(json, reply->status));
  return tl::unexpected(exit);
}

Exit report(Session& session, const Error& error) {
  std::string text = "sluicectl: " + printable(error.message) + "\n";
  for (const auto& fault : error.faults)
    text += render_fault(fault.pointer, fault.message, fault.suggestion);
  print(session.err, text);
  return error.code == Code::not_found ? Exit::not_found : Exit::unreachable;
}

Exit misuse(Session& session, const std::string& message) {
  session.err << "sluicectl: " << printable(message) << '\n';
  return Exit::usage;
}

Exit show(Session& session, const Answer& answer, const std::function<std::string(View)>& render) {
  print(session.out, session.json ? answer.body : render(answer.json));
  return Exit::ok;
}

Exit get(Session& session, const std::string& target,
         const std::function<std::string(View)>& render) {
  const auto answer = ask(session, {.method = "GET", .target = target});
  return answer ? show(session, *answer, render) : answer.error();
}

tl::expected<Answer, Exit> send_change(Session& session, const std::string& method,
                                       const std::string& path, const boost::json::value& body,
                                       const WriteOptions& options) {
  // A line break would end the header and start another one.
  if (std::ranges::any_of(options.reason, [](char c) { return (c >= 0 && c < ' ') || c == 127; }))
    return tl::unexpected(
        misuse(session, "--reason has a control character; write one line of text"));

  Request request{.method = method, .target = path};
  if (options.dry_run)
    request.target += "?dryRun=true";
  if (!body.is_null())
    request.body = boost::json::serialize(body);
  if (options.if_match)
    request.headers.emplace_back("If-Match", '"' + std::to_string(*options.if_match) + '"');
  if (!options.reason.empty())
    request.headers.emplace_back("X-Reason", options.reason);

  return ask(session, request);
}

Exit change(Session& session, const std::string& method, const std::string& path,
            const boost::json::value& body, const WriteOptions& options) {
  const auto answer = send_change(session, method, path, body, options);
  if (!answer)
    return answer.error();
  return show(session, *answer,
              [&](View reply) { return render_change(reply, options.dry_run, session.colour); });
}

}  // namespace sluice::cli
