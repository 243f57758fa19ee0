// A whole daemon but for its main: many clients change one data plane at once over the API's
// socket, while its clock ticks and packets run. Built with the thread sanitizer as well: ./run
// test-threads
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio.hpp>
#include <boost/json.hpp>
#include <cstring>
#include <filesystem>
#include <map>
#include <thread>

#include "api/api.hpp"
#include "api/server.hpp"
#include "control/controller.hpp"
#include "kernel/next_hops.hpp"
#include "loader_fixture.hpp"
#include "store/store.hpp"

namespace sluice::test {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using namespace std::chrono_literals;

struct Answer {
  int status = 0;
  json::value body;
};

/// One request on a connection of its own, without an HTTP library: nothing is shared among the
/// clients.
Answer ask(const std::string& socket_path, const std::string& method, const std::string& path,
           const std::string& body = "", const std::string& if_match = "") {
  const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::strncpy(to.sun_path, socket_path.c_str(), sizeof to.sun_path - 1);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to))
    return {};
  const auto request = method + " /api/v1/" + path + " HTTP/1.1\r\nHost: sluice\r\n" +
                       (if_match.empty() ? "" : "If-Match: " + if_match + "\r\n") +
                       "Content-Type: application/json\r\nConnection: close\r\nContent-Length: " +
                       std::to_string(body.size()) + "\r\n\r\n" + body;
  if (write(fd.get(), request.data(), request.size()) != static_cast<ssize_t>(request.size()))
    return {};
  std::string text;
  char part[4096];
  for (ssize_t size; (size = read(fd.get(), part, sizeof part)) > 0;)
    text.append(part, static_cast<std::size_t>(size));
  const auto begin = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || begin == text.npos)
    return {};
  return {std::stoi(text.substr(9, 3)), json::parse(text.substr(begin + 4))};
}

}  // namespace

class Concurrent : public LoaderTest {
 protected:
  void SetUp() override {
    LoaderTest::SetUp();
    add_interface("in0");
    add_interface("out0", true);
    // Backends whose neighbours are known without asking anybody.
    std::string commands = "ip address add 10.0.1.2/24 dev out0";
    for (int i = 0; i < 10; i++)
      commands += " && ip neighbour add 10.0.1.1" + std::to_string(i) + " lladdr 02:00:00:00:00:1" +
                  std::to_string(i) + " dev out0 nud permanent";
    ASSERT_EQ(std::system(commands.c_str()), 0);

    folder_ = std::filesystem::temp_directory_path() / instance_;
    auto store = store::Store::open(folder_ / "sluice.db");
    ASSERT_TRUE(ok(store));
    store_ = std::move(*store);
    auto next_hops = kernel::NextHops::open();
    ASSERT_TRUE(ok(next_hops));
    next_hops_ = std::move(*next_hops);
    controller_ = std::make_unique<control::Controller>(*loader_, *store_, *next_hops_);
    ASSERT_TRUE(ok(controller_->start()));
    api_ = std::make_unique<api::Api>(*controller_, *store_);
    server_ = std::make_unique<api::Server>(
        io_, control_.get_executor(),
        api::Backend{
            .handle = [this](const api::Request& request) { return api_->handle(request); },
            .stats = [this] { return api_->stats(); }});
    socket_ = "/run/" + instance_ + ".sock";
    ASSERT_TRUE(ok(server_->listen_unix(socket_)));
    serving_ = std::thread([this] { io_.run(); });
    ticker_.expires_after(0ms);
    tick();
  }

  void TearDown() override {
    ticking_ = false;
    io_.stop();
    serving_.join();
    control_.stop();
    control_.join();
    server_.reset();
    api_.reset();
    controller_.reset();
    std::filesystem::remove_all(folder_);
    LoaderTest::TearDown();
  }

  /// As the daemon does every second, but more often.
  void tick() {
    ticker_.async_wait([this](const boost::system::error_code&) {
      controller_->tick();
      ticker_.expires_after(100ms);
      if (ticking_)
        tick();
    });
  }

  Answer ask(const std::string& method, const std::string& path, const std::string& body = "",
             const std::string& if_match = "") const {
    return test::ask(socket_, method, path, body, if_match);
  }

  std::filesystem::path folder_;
  std::string socket_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<kernel::NextHops> next_hops_;
  std::unique_ptr<control::Controller> controller_;
  std::unique_ptr<api::Api> api_;
  asio::io_context io_;
  asio::thread_pool control_{1};
  std::unique_ptr<api::Server> server_;
  asio::steady_timer ticker_{control_.get_executor()};
  std::atomic<bool> ticking_ = true;
  std::thread serving_;
};

TEST_F(Concurrent, ChangesOfManyClientsUnderTrafficEndConsistent) {
#ifdef __SANITIZE_THREAD__
  constexpr int rounds = 2;  // a change takes seconds
#else
  constexpr int rounds = 10;
#endif
  ASSERT_EQ(ask("PUT", "config", R"({
      "services": [{"name": "web", "address": "10.0.0.100", "port": 80, "pool": "l2"}],
      "pools": [{"name": "l2", "forwarding": "dsr-l2", "backends": [{"ip": "10.0.1.10"}]}],
      "xdp": {"interfaces": [{"name": "in0"}]}})",
                "*")
                .status,
            200);

  std::atomic<bool> stop = false;
  std::uint64_t sent = 0;
  std::thread packets([&] {
    const auto packet = tcp_packet(ip("10.0.2.10"), ip("10.0.0.100"), 80);
    for (; !stop || sent == 0; sent += 1000)
      EXPECT_EQ(run("in0", packet, 1000).verdict, 4u);
  });

  // What each client was told, by status.
  std::vector<std::map<int, int>> told(8);
  std::vector<std::thread> clients;
  const auto client = [&](std::size_t number, auto what) {
    clients.emplace_back([&, number, what] {
      for (int i = 0; i < rounds; i++)
        for (const int status : what(i))
          told[number][status]++;
    });
  };
  for (std::size_t number = 0; number < 3; number++)  // each alone with a backend
    client(number, [this, number](int i) {
      const auto address = "10.0.1.1" + std::to_string(number + 1);
      const auto weight = R"({"weight": )" + std::to_string(i % 9 + 2) + "}";
      return std::array{ask("POST", "pools/l2/backends", R"({"ip": ")" + address + R"("})").status,
                        ask("PATCH", "pools/l2/backends/" + address, weight).status,
                        ask("DELETE", "pools/l2/backends/" + address).status};
    });
  for (std::size_t number = 3; number < 5; number++)  // two quarrel about one
    client(number, [this](int) {
      return std::array{ask("POST", "pools/l2/backends", R"({"ip": "10.0.1.15"})").status,
                        ask("DELETE", "pools/l2/backends/10.0.1.15").status};
    });
  client(5, [this](int i) {  // replaces the document that it has read
    const auto read = ask("GET", "config").body;
    auto config = read.at("config");
    config.as_object()["telemetry"] = {{"intervalMs", 500 + i}};
    return std::array{ask("PUT", "config", json::serialize(config),
                          "\"" + std::to_string(read.at("generation").to_number<int>()) + "\"")
                          .status};
  });
  client(6, [this](int i) {  // services come and go, so that fronts are swapped
    const auto name = "s" + std::to_string(i);
    return std::array{ask("POST", "services",
                          R"({"name": ")" + name + R"(", "address": "10.0.0.101", "port": )" +
                              std::to_string(1000 + i) + R"(, "pool": "l2"})")
                          .status,
                      ask("DELETE", "services/" + name).status};
  });
  client(7, [this](int) {  // looks on
    return std::array{ask("GET", "stats").status, ask("GET", "status").status,
                      ask("GET", "pools/l2").status};
  });
  for (auto& one : clients)
    one.join();
  stop = true;
  packets.join();

  for (std::size_t number : {0u, 1u, 2u})
    EXPECT_EQ(told[number], (std::map<int, int>{{201, rounds}, {200, 2 * rounds}}))
        << "client " << number << " was alone with its backend";
  std::map<int, int> quarrel = told[3];
  for (const auto& [status, times] : told[4])
    quarrel[status] += times;
  EXPECT_EQ(quarrel[201], quarrel[200]) << "what was added was removed, once";
  EXPECT_EQ(quarrel[201] + quarrel[409], 2 * rounds);
  EXPECT_EQ(quarrel[200] + quarrel[404], 2 * rounds);
  EXPECT_EQ(told[5][200] + told[5][412], rounds);
  EXPECT_EQ(told[6], (std::map<int, int>{{201, rounds}, {200, rounds}}));
  EXPECT_EQ(told[7], (std::map<int, int>{{200, 3 * rounds}}));

  const auto left = ask("GET", "config").body;
  int changes = 1;
  for (const auto& one : told)
    for (const auto& [status, times] : one)
      changes += status == 200 || status == 201 ? times : 0;
  changes -= 3 * rounds;  // who only looked
  EXPECT_EQ(left.at("generation").to_number<int>(), changes) << "a change was lost, or made twice";
  EXPECT_EQ(left.at("config").at("services").as_array().size(), 1u);

  // What runs is what is configured, slot for slot.
  auto again = ask("PUT", "config?dryRun=true", json::serialize(left.at("config")), "*");
  ASSERT_EQ(again.status, 200);
  EXPECT_TRUE(again.body.at("plan").at("steps").as_array().empty())
      << json::serialize(again.body.at("plan").at("steps"));
  ticking_ = false;
  control_.stop();
  control_.join();
  const auto image = running();
  ASSERT_EQ(image.backends.size(), 1u);
  const auto& [key, last] = *image.backends.begin();
  EXPECT_EQ(key.address, ip("10.0.1.10"));
  EXPECT_EQ(std::ranges::count(image.tables.at("l2").slots, last.id), 65537);

  // Every packet met a whole world: it was forwarded, and counted once.
  const auto counters = loader_->counters();
  ASSERT_TRUE(ok(counters));
  const auto& verdicts = counters->interfaces.at("in0");
  for (const auto& one : verdicts)
    EXPECT_EQ(one.verdict + " " + one.reason, "redirect dsr-l2")
        << one.count.packets << " of " << sent << " packets met a half-changed world";
  ASSERT_EQ(verdicts.size(), 1u);
  EXPECT_EQ(verdicts[0].count.packets, sent);
  EXPECT_EQ(counters->services.at({ip("10.0.0.100"), 80, model::Protocol::tcp}).packets, sent);
}

}  // namespace sluice::test
