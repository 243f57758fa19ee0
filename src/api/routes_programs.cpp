// Which program is on which interface, and another version in its place without a packet lost.
#include "api/api.hpp"
#include "api/convert.hpp"
#include "codec/codec.hpp"

namespace sluice::api {

void Api::add_program_routes() {
  router_.add({.method = "GET",
               .path = "/api/v1/programs",
               .id = "getPrograms",
               .summary = "The program on each interface, and the versions that there are",
               .handle = [this](const Call&) -> Result<Reply> {
                 auto programs = controller_.programs();
                 if (!programs)
                   return fail(programs.error());
                 return Reply{.body = codec::to_json(programs_view(*programs)), .etag = {}};
               },
               .reply = codec::type_of<ProgramsReply>});
  const std::string all = "/api/v1/programs", one = all + "/{interface}";
  add_program_change(one + "/reload", "reloadProgram",
                     "Put a version of the program on an interface, in place of the one there",
                     false);
  add_program_change(all + "/reload", "reloadPrograms",
                     "Put a version of the program on all interfaces that have one", false);
  add_program_change(one + "/rollback", "rollbackProgram",
                     "Put the version before back on an interface", true);
  add_program_change(all + "/rollback", "rollbackPrograms",
                     "Put the version before back on all interfaces that had another one", true);
}

void Api::add_program_change(const std::string& path, const std::string& id,
                             const std::string& summary, bool rollback) {
  const auto handle = [this, rollback](const Call& call) -> Result<Reply> {
    ReloadRequest wanted;
    if (!rollback && !call.request.body.empty()) {
      auto body = body_of(call);
      if (!body)
        return fail(body.error());
      auto read = codec::from_json<ReloadRequest>(*body);
      if (!read)
        return fail(read.error());
      wanted = *read;
    }
    auto options = options_of(call.request, IfMatch::none);
    if (!options)
      return fail(options.error());
    const auto named = call.path.find("interface");
    const auto interface = named == call.path.end() ? std::nullopt : std::optional(named->second);
    auto change = rollback ? controller_.roll_back_programs(interface, *options)
                           : controller_.reload_programs(interface, wanted.version, *options);
    if (!change)
      return fail(change.error());
    return Reply{.body = codec::to_json(view_of(*change)), .etag = change->generation};
  };
  Route route{.method = "POST",
              .path = path,
              .id = id,
              .summary = summary,
              .handle = handle,
              .reply = codec::type_of<ChangeReply>,
              .writes = true};
  if (!rollback)
    route.body = codec::type_of<ReloadRequest>;
  router_.add(std::move(route));
}

}  // namespace sluice::api
