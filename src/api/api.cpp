#include "api/api.hpp"

#include <algorithm>
#include <charconv>

#include "api/convert.hpp"
#include "codec/codec.hpp"

namespace sluice::api {

namespace {

/// `"7"`, also weak or bare. `*` stands for whatever runs.
Result<std::optional<std::uint64_t>> generation_in(const Request& request, IfMatch if_match,
                                                   std::uint64_t running) {
  const auto header = request.header("if-match");
  if (!header) {
    if (if_match == IfMatch::required)
      return fail(Code::precondition,
                  "the header If-Match is missing; read the configuration first and send its ETag, "
                  "now If-Match: \"" +
                      std::to_string(running) + "\"");
    return std::optional<std::uint64_t>();
  }
  std::string_view text = *header;
  if (text == "*")
    return std::optional(running);
  text.remove_prefix(text.starts_with("W/") ? 2 : 0);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
    text = text.substr(1, text.size() - 2);
  std::uint64_t generation = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), generation);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size())
    return fail(Code::invalid, "If-Match: " + *header + " is not a generation; send it as \"" +
                                   std::to_string(running) + "\"");
  return std::optional(generation);
}

}  // namespace

Api::Api(control::Controller& controller, store::Store& store)
    : controller_(controller), store_(store) {
  add_config_routes();
  add_service_routes();
  add_pool_routes();
  add_program_routes();
  add_status_routes();
}

Result<boost::json::value> Api::body_of(const Call& call) const {
  return codec::parse(call.request.body);
}

Result<control::ChangeOptions> Api::options_of(const Request& request, IfMatch if_match) const {
  auto generation = generation_in(request, if_match, controller_.generation());
  if (!generation)
    return fail(generation.error());
  const auto dry_run = request.query.find("dryRun");
  if (dry_run != request.query.end() && dry_run->second != "true" && dry_run->second != "false")
    return fail(Code::invalid, "dryRun is '" + dry_run->second + "'; use true or false");
  return control::ChangeOptions{.if_match = *generation,
                                .dry_run =
                                    dry_run != request.query.end() && dry_run->second == "true",
                                .actor = request.actor,
                                .reason = request.header("x-reason").value_or("")};
}

Result<Reply> Api::change(const Call& call, const control::Edit& edit, IfMatch if_match) const {
  auto options = options_of(call.request, if_match);
  if (!options)
    return fail(options.error());
  auto change = controller_.change(edit, *options);
  if (!change)
    return fail(change.error());
  return Reply{.body = codec::to_json(view_of(*change)), .etag = change->generation};
}

Result<Reply> Api::create(const Call& call, const control::Edit& edit) const {
  auto reply = change(call, edit);
  if (reply && reply->body.at("applied").as_bool())
    reply->status = 201;
  return reply;
}

Result<model::EffectivePool> Api::pool(const std::string& name) const {
  for (auto& pool : model::effective_pools(controller_.config()))
    if (pool.name == name)
      return pool;
  return fail(Code::not_found, "there is no pool '" + name + "'");
}

Result<boost::json::value> Api::stats() const {
  auto counters = controller_.counters();
  if (!counters)
    return fail(counters.error());
  return codec::to_json(stats_view(controller_.config(), *counters));
}

}  // namespace sluice::api
