// What a command line asks of the daemon, what is printed, and with which code it ends.
#include "cli/commands.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sluice::cli {
namespace {

using ::testing::HasSubstr;

/// One run of sluicectl against a daemon that answers with what the test says.
class Commands : public testing::Test {
 protected:
  Exit run(std::vector<std::string> arguments) {
    CLI::App app;
    app.fallthrough();
    bool json = false;
    app.add_flag("--json", json);
    std::function<Exit(Session&)> command;
    add_commands(app, command);
    std::ranges::reverse(arguments);
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError&) {
      return Exit::usage;
    }
    out.str("");
    err.str("");
    Session session{
        .exchange = [this](const Request& request) -> Result<Reply> {
          asked.push_back(request);
          if (unreachable)
            return fail(Code::unavailable, "nobody listens");
          return reply;
        },
        .address = {.socket = "/run/sluice/default.sock",
                    .host = {},
                    .port = {},
                    .instance = "default"},
        .out = out,
        .err = err,
        .in = in,
        .json = json,
        .detach_directly =
            [this](const std::string& instance, const std::optional<std::string>& interface) {
              detached = instance + " " + interface.value_or("all");
              return Result<std::vector<std::string>>{{interface.value_or("eth0")}};
            },
        .pause = [] { return false; },
        .height = [] { return 0u; }};
    return command(session);
  }
  std::string asked_for() const {
    return asked.empty()
               ? ""
               : asked.back().method + " " + asked.back().target + " " + asked.back().body;
  }

  Reply reply{
      200,
      R"({"generation": 7, "applied": true, "plan": {"empty": true, "steps": [], "effects": [], "warnings": []}})"};
  bool unreachable = false;
  std::vector<Request> asked;
  std::string detached;
  std::stringstream out, err, in;
};

TEST_F(Commands, ABackendIsAddedWithWhatWasSaidAndNothingElse) {
  EXPECT_EQ(run({"backend", "add", "[fd00::1]:80", "--weight", "3", "--pool", "video", "--reason",
                 "new"}),
            Exit::ok);
  EXPECT_EQ(asked_for(),
            R"(POST /api/v1/pools/video/backends {"ip":"fd00::1","port":80,"weight":3})");
  ASSERT_EQ(asked.back().headers.size(), 1u);
  EXPECT_EQ(asked.back().headers[0].second, "new");
  EXPECT_THAT(out.str(), HasSubstr("generation 7 is running"));
}

TEST_F(Commands, QuicIsSetWithThePoolAndItsServers) {
  EXPECT_EQ(
      run({"pool", "add", "h3", "--quic-server-id-length", "4", "--quic-config-rotation", "2"}),
      Exit::ok);
  EXPECT_EQ(asked_for(),
            R"(POST /api/v1/pools {"name":"h3","quic":{"serverIdLength":4,"configRotation":2}})");
  EXPECT_EQ(run({"backend", "add", "10.0.1.11", "--pool", "h3", "--quic-server-id", "0a000001"}),
            Exit::ok);
  EXPECT_EQ(asked_for(),
            R"(POST /api/v1/pools/h3/backends {"ip":"10.0.1.11","quicServerId":"0a000001"})");
  EXPECT_EQ(run({"backend", "set", "10.0.1.11", "--pool", "h3", "--quic-server-id", "none"}),
            Exit::ok);
  EXPECT_EQ(asked_for(), R"(PATCH /api/v1/pools/h3/backends/10.0.1.11 {"quicServerId":null})");
  EXPECT_EQ(run({"pool", "add", "h3", "--quic-config-rotation", "2"}), Exit::usage)
      << "a rotation says nothing without the length";
}

TEST_F(Commands, AServiceHasOnePortARangeOrEveryPort) {
  EXPECT_EQ(run({"service", "add", "web", "10.0.0.100:80"}), Exit::ok);
  EXPECT_THAT(asked_for(), HasSubstr(R"("address":"10.0.0.100","port":80,"name")"));
  EXPECT_EQ(run({"service", "add", "web", "[fd00::1]:8000-8099"}), Exit::ok);
  EXPECT_THAT(asked_for(), HasSubstr(R"("address":"fd00::1","port":8000,"portEnd":8099)"));
  EXPECT_EQ(run({"service", "add", "web", "10.0.0.100:any", "--protocol", "udp"}), Exit::ok);
  EXPECT_THAT(asked_for(), HasSubstr(R"("port":0,)"));
  asked.clear();
  for (const char* wrong : {"10.0.0.100", "10.0.0.100:", "10.0.0.100:0", "10.0.0.100:80-",
                            "10.0.0.100:-80", "fd00::1", "10.0.0.100:80-x", "10.0.0.100:anything"})
    EXPECT_EQ(run({"service", "add", "web", wrong}), Exit::usage) << wrong;
  EXPECT_TRUE(asked.empty());
  reply.body =
      R"([{"name": "r", "address": "10.0.0.1", "port": 80, "portEnd": 90, "protocol": "tcp"},
                   {"name": "e", "address": "fd00::1", "port": 0, "protocol": "udp"}])";
  EXPECT_EQ(run({"service", "list"}), Exit::ok);
  for (const char* text : {"10.0.0.1:80-90/tcp", "[fd00::1]:any/udp"})
    EXPECT_THAT(out.str(), HasSubstr(text));
}

TEST_F(Commands, AServiceKeepsWhatIsNotChanged) {
  reply.body =
      R"({"name": "web", "address": "10.0.0.100", "port": 80, "protocol": "udp", "pool": "a", "enabled": true, "answerEcho": true,
          "stats": {}, "generation": 2, "applied": true})";
  EXPECT_EQ(run({"service", "set", "web", "--pool", "b", "--disable"}), Exit::ok);
  EXPECT_THAT(asked_for(), HasSubstr("PUT /api/v1/services/web"));
  for (const char* field :
       {R"("protocol":"udp")", R"("pool":"b")", R"("enabled":false)", R"("answerEcho":true)"})
    EXPECT_THAT(asked_for(), HasSubstr(field));
  EXPECT_THAT(asked_for(), testing::Not(HasSubstr("stats")));
  EXPECT_EQ(run({"service", "set", "web", "--pass-echo"}), Exit::ok);
  EXPECT_THAT(asked_for(), HasSubstr(R"("answerEcho":false)"));
  EXPECT_EQ(run({"service", "set", "web"}), Exit::usage);
}

TEST_F(Commands, ADryRunAsksForThePlan) {
  reply.body = R"({"generation": 7, "applied": false, "plan": {"empty": false, "steps": ["do this"],
    "effects": [{"pool": "p", "slots": 65537, "moved": 100, "unavoidable": 90}],
    "warnings": [{"pointer": "/pools/0", "message": "look out", "suggestion": "do that"}]}})";
  EXPECT_EQ(run({"backend", "remove", "10.0.1.11", "--dry-run"}), Exit::ok);
  EXPECT_EQ(asked_for(), "DELETE /api/v1/pools/default/backends/10.0.1.11?dryRun=true ");
  for (const char* text : {"1. do this", "65537", "look out", "do that", "unchanged"})
    EXPECT_THAT(out.str(), HasSubstr(text));
}

TEST_F(Commands, ARefusalIsToldFieldByFieldWithItsOwnExitCode) {
  reply = {422, R"({"status": 422, "detail": "the configuration has 1 fault", "requestId": "x",
    "errors": [{"pointer": "/l4_backends/0/weight", "message": "must be between 1 and 100", "suggestion": "give less"}]})"};
  EXPECT_EQ(run({"backend", "add", "10.0.1.11"}), Exit::refused);
  for (const char* text :
       {"the configuration has 1 fault", "/l4_backends/0/weight", "must be between", "give less"})
    EXPECT_THAT(err.str(), HasSubstr(text));
  EXPECT_EQ(out.str(), "");
}

TEST_F(Commands, ABackendCanBeDrainedAndTakenBack) {
  EXPECT_EQ(run({"backend", "set", "10.0.1.11", "--drain"}), Exit::ok);
  EXPECT_THAT(asked_for(), HasSubstr(R"({"drain":true})"));
  EXPECT_EQ(run({"backend", "set", "10.0.1.11", "--no-drain"}), Exit::ok);
  EXPECT_THAT(asked_for(), HasSubstr(R"({"drain":false})"));
  EXPECT_EQ(run({"backend", "set", "10.0.1.11", "--drain", "--no-drain"}), Exit::usage);
}

TEST_F(Commands, ExitCodesTellWhatToDoNext) {
  EXPECT_EQ(exit_for_status(201), Exit::ok);
  EXPECT_EQ(exit_for_status(404), Exit::not_found);
  EXPECT_EQ(exit_for_status(409), Exit::refused);
  EXPECT_EQ(exit_for_status(412), Exit::stale);
  EXPECT_EQ(exit_for_status(428), Exit::stale);
  EXPECT_EQ(exit_for_status(507), Exit::refused);
  EXPECT_EQ(exit_for_status(500), Exit::internal);
  unreachable = true;
  EXPECT_EQ(run({"status"}), Exit::unreachable);
  EXPECT_THAT(err.str(), HasSubstr("nobody listens"));
  EXPECT_EQ(run({"backend", "add", "10.0.1"}), Exit::usage);
  EXPECT_EQ(run({"bakcend", "add"}), Exit::usage);
  EXPECT_EQ(run({"backend", "set", "10.0.1.11"}), Exit::usage) << "nothing to change";
}

TEST_F(Commands, AFileIsSentAndItsSyntaxErrorsNameIt) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("sluice-cli-" + std::to_string(getpid()) + ".jsonc");
  std::ofstream(file) << "{ // why\n \"l4_backends\": [\"10.0.1.11\",], }";
  EXPECT_EQ(run({"config", "set", file.string(), "--if-match", "6"}), Exit::ok);
  EXPECT_EQ(asked_for(), R"(PUT /api/v1/config {"l4_backends":["10.0.1.11"]})");
  EXPECT_EQ(asked.back().headers.at(0).second, "\"6\"");
  EXPECT_EQ(run({"plan", file.string()}), Exit::ok);
  EXPECT_THAT(asked_for(), HasSubstr("PUT /api/v1/config?dryRun=true"));
  std::ofstream(file) << "{\n]";
  EXPECT_EQ(run({"config", "set", file.string(), "--if-match", "6"}), Exit::usage);
  EXPECT_THAT(err.str(), HasSubstr(file.string()));
  EXPECT_THAT(err.str(), HasSubstr("line 2"));
  std::filesystem::remove(file);
  EXPECT_EQ(run({"config", "set", file.string()}), Exit::usage) << "there is no such file";
}

TEST_F(Commands, JsonIsPrintedAsItCame) {
  reply.body = R"([{"name":"web"}])";
  EXPECT_EQ(run({"--json", "service", "list"}), Exit::ok);
  EXPECT_EQ(out.str(), reply.body + "\n");
}

TEST_F(Commands, DetachWorksWithoutADaemon) {
  unreachable = true;
  EXPECT_EQ(run({"detach", "eth0"}), Exit::ok);
  EXPECT_EQ(detached, "default eth0");
  EXPECT_EQ(run({"detach", "--all"}), Exit::ok);
  EXPECT_EQ(detached, "default all");
  EXPECT_EQ(run({"detach"}), Exit::usage);
  unreachable = false;
  detached.clear();
  EXPECT_EQ(run({"detach", "eth0"}), Exit::ok);
  EXPECT_EQ(asked_for(), "POST /api/v1/interfaces/eth0/detach ");
  EXPECT_EQ(detached, "") << "a daemon that runs is asked, or it would attach it again";
}

TEST_F(Commands, StatusAndStatsAreTables) {
  reply.body =
      R"({"version": "1.2", "generation": 3, "uptimeMs": 61000, "adopted": true, "drift": "eth9 is gone",
    "interfaces": [{"name": "eth0", "mode": "DRV", "attached": true, "programId": 12},
                   {"name": "eth9", "mode": "SKB", "attached": false, "programId": 0, "problem": "there is no eth9"}],
    "services": 1, "pools": 1, "backends": 3, "backendsActive": 2})";
  EXPECT_EQ(run({"status"}), Exit::ok);
  for (const char* text :
       {"sluiced 1.2", "generation 3", "1 min 1 s", "eth9 is gone", "there is no eth9", "2 active"})
    EXPECT_THAT(out.str(), HasSubstr(text));
  reply.body = R"({"totals": {"packets": 1234567, "bytes": 1, "drops": 2},
    "interfaces": [{"interface": "eth0", "packets": 4, "verdicts": [{"verdict": "tx", "reason": "nat", "packets": 3, "bytes": 1}]}],
    "services": [{"name": "web", "address": "fd00::1", "port": 80, "protocol": "tcp", "pool": "p", "packets": 9}],
    "backends": [{"id": "10.0.1.11", "pool": "p", "opened": 1}, {"id": "10.0.1.12", "pool": "p", "opened": 3}]})";
  EXPECT_EQ(run({"stats"}), Exit::ok);
  for (const char* text : {"1,234,567 packets", "75.0%", "[fd00::1]:80/tcp", "nat"})
    EXPECT_THAT(out.str(), HasSubstr(text));
}

TEST_F(Commands, ErrorsAndTimesAreShownWithTheirCauseAndPlace) {
  reply.body = R"({"totals": {"packets": 9, "bytes": 1, "drops": 2},
    "errors": [{"kind": "map-lookup", "reason": "missing-interface", "cause": "tx_ports has no entry", "interface": "eth0", "packets": 3},
               {"kind": "unreachable", "reason": "unresolved", "cause": "no answer", "pool": "p", "backend": "p/10.0.1.12", "packets": 4}],
    "interfaces": [{"interface": "eth0", "packets": 9, "verdicts": [],
      "timing": {"samples": 4, "nanoseconds": 6000, "buckets": [
        {"fromNs": 64, "belowNs": 128, "samples": 3}, {"fromNs": 4096, "belowNs": 8192, "samples": 1}]}},
      {"interface": "eth1", "packets": 0, "verdicts": [], "timing": {"samples": 0, "nanoseconds": 0, "buckets": []}}]})";
  EXPECT_EQ(run({"stats"}), Exit::ok);
  EXPECT_THAT(out.str(), testing::ContainsRegex("map-lookup +eth0 +3 +tx_ports has no entry"));
  EXPECT_THAT(out.str(), testing::ContainsRegex("unreachable +p/10.0.1.12 +4 +no answer"));
  EXPECT_THAT(out.str(), testing::ContainsRegex("eth0 +4 +1.50 us +< 128 ns +< 8.19 us"));
  EXPECT_THAT(out.str(), testing::Not(HasSubstr("eth1"))) << "nothing was timed there";
  reply.body =
      R"({"version": "1", "unroutable": [{"id": "p/10.0.1.12", "pool": "p", "problem": "does not answer ARP"}]})";
  EXPECT_EQ(run({"status"}), Exit::ok);
  EXPECT_THAT(out.str(), testing::ContainsRegex("p/10.0.1.12 +p +does not answer ARP"));
}

TEST_F(Commands, AReplyThatIsNoJsonIsNoSuccess) {
  reply = {200, "<html>"};
  EXPECT_EQ(run({"status"}), Exit::internal);
  EXPECT_THAT(err.str(), HasSubstr("see whether sluiced listens there"));
}

TEST_F(Commands, AReasonWithALineBreakDoesNotStartANewHeader) {
  EXPECT_EQ(run({"backend", "remove", "10.0.1.11", "--reason", "a\r\nX-Evil: 1"}), Exit::usage);
  EXPECT_TRUE(asked.empty());
}

TEST_F(Commands, AProgramIsReloadedAndRolledBackOnOneInterfaceOrOnAll) {
  reply.body = R"({"generation": 7, "applied": true, "plan": {"empty": false,
    "steps": ["replace the program on eth0 by version 2.0 (next), in place"], "effects": [], "warnings": []}})";
  EXPECT_EQ(run({"program", "reload"}), Exit::ok);
  EXPECT_EQ(asked_for(), R"(POST /api/v1/programs/reload {"version":"built-in"})");
  EXPECT_EQ(run({"program", "reload", "eth0.5", "--version", "next"}), Exit::ok);
  EXPECT_EQ(asked_for(), R"(POST /api/v1/programs/eth0.5/reload {"version":"next"})");
  EXPECT_THAT(out.str(), HasSubstr("version 2.0 (next)"));
  EXPECT_THAT(out.str(), testing::Not(HasSubstr("generation")))
      << "which version runs is not part of the configuration";
  EXPECT_EQ(run({"program", "rollback", "eth0", "--dry-run"}), Exit::ok);
  EXPECT_EQ(asked_for(), "POST /api/v1/programs/eth0/rollback?dryRun=true ");
  EXPECT_THAT(out.str(), HasSubstr("nothing was changed"));
  EXPECT_EQ(run({"program", "rollback", "--version", "next"}), Exit::usage);
}

TEST_F(Commands, ProgramsAreListedWithWhatWasThereBeforeAndWhatDoesNotFit) {
  reply.body = R"({"interfaces": [{"interface": "eth0", "mode": "DRV", "outdated": true,
      "program": {"id": 12, "version": "2.0", "tag": "faed", "loadedMs": 0, "multiBuffer": true}, "previous": {"id": 9, "tag": "5ab0"}}],
    "versions": [{"name": "built-in", "version": "1.0"}, {"name": "old", "version": "", "problem": "layout 2"}]})";
  EXPECT_EQ(run({"program", "list"}), Exit::ok);
  for (const char* text :
       {"2.0", "faed", "multi", "outdated", "unknown 5ab0", "built-in", "layout 2"})
    EXPECT_THAT(out.str(), HasSubstr(text));
  reply.body = R"({"interfaces": [{"name": "eth0", "mode": "DRV", "attached": true, "programId": 12,
    "programVersion": "2.0", "outdated": true}]})";
  EXPECT_EQ(run({"status"}), Exit::ok);
  EXPECT_THAT(out.str(), HasSubstr("2.0, outdated"));
}

}  // namespace
}  // namespace sluice::cli
