// sluiced: opens store, kernel and data plane, and serves the API until it is told to stop. The
// data plane stays.
#include <spdlog/spdlog.h>
#include <sys/file.h>

#include <CLI/CLI.hpp>
#include <boost/asio.hpp>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <new>

#include "api/api.hpp"
#include "api/listen_fds.hpp"
#include "api/server.hpp"
#include "base/fd.hpp"
#include "codec/codec.hpp"
#include "control/controller.hpp"
#include "dataplane/xdp/loader.hpp"
#include "kernel/capabilities.hpp"
#include "kernel/next_hops.hpp"
#include "model/document.hpp"
#include "store/store.hpp"

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace sluice;
using namespace std::chrono_literals;

namespace {

struct Options {
  std::string instance = "default";
  std::string state_dir;
  std::string run_dir = "/run/sluice";
  std::string config;
  std::string programs;
  std::vector<std::string> listen;
#ifdef NDEBUG
  std::string log_level = "info";
#else
  std::string log_level = "debug";  // a debug build explains itself
#endif
  bool insecure_listen = false;
};

void add_options(CLI::App& app, Options& options) {
  app.set_version_flag("--version", SLUICE_VERSION);
  app.add_option("--instance", options.instance,
                 "name of this instance; instances do not see each other")
      ->capture_default_str();
  app.add_option("--state-dir", options.state_dir,
                 "folder of the store [/var/lib/sluice/<instance>]");
  app.add_option("--run-dir", options.run_dir, "folder of the Unix socket")->capture_default_str();
  app.add_option("--config", options.config, "configuration to import when its content is new");
  app.add_option("--programs", options.programs,
                 "folder of other versions of the program, xdp_lb-NAME.o, to reload to")
      ->check(CLI::ExistingDirectory);
  app.add_option("--listen", options.listen, "ADDRESS:PORT to serve besides the Unix socket");
  app.add_option("--log-level", options.log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  app.add_flag("--insecure-listen", options.insecure_listen,
               "let --listen be an address beyond loopback");
}

/// One daemon an instance: the lock goes with the process.
Result<Fd> lock_instance(const Options& options) {
  std::error_code error;
  fs::create_directories(options.run_dir, error);
  const auto path = options.run_dir + "/" + options.instance + ".lock";
  Fd lock(open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  if (!lock)
    return fail(Code::permission, "cannot open " + path + ": " + std::strerror(errno));
  if (flock(lock.get(), LOCK_EX | LOCK_NB))
    return fail(Code::exists, "another sluiced runs the instance " + options.instance +
                                  "; stop it, or choose another --instance");
  return lock;
}

/// FNV-1a of the file's content: only to notice that it has changed.
std::string content_hash(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return std::to_string(hash);
}

/// Changes made later over the API must survive a restart with the same file, so a file counts only
/// once.
Result<void> import_config(const Options& options, control::Controller& controller,
                           store::Store& store) {
  std::ifstream file(options.config);
  if (!file)
    return fail(Code::not_found, "cannot read the configuration " + options.config);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto hash = content_hash(text);
  auto known = store.imported_hash();
  if (!known)
    return fail(known.error());
  if (*known == hash)
    return {};
  auto document = codec::parse(text);
  if (!document)
    return fail(Code::invalid, options.config + ": " + document.error().message);
  auto topology = controller.topology();
  if (!topology)
    return fail(topology.error());
  auto changed = controller.change(
      [&](const model::Config&) { return model::read_document(*document, &*topology); },
      {.actor = "system",
       .reason = "imported from " + fs::path(options.config).filename().string()});
  if (!changed)
    return fail(changed.error().code, options.config + ": " + changed.error().message,
                changed.error().faults);
  return store.set_imported_hash(hash);
}

/// Memory that is short now may be there in a second.
void tick(control::Controller& controller) {
  try {
    controller.tick();
  } catch (const std::bad_alloc&) {
    spdlog::error("there is not enough memory to follow the kernel; trying again");
  }
}

/// Follows the kernel: at every netlink event, and once a second for what only time changes.
asio::awaitable<void> follow(control::Controller& controller, int events) {
  auto executor = co_await asio::this_coro::executor;
  asio::posix::stream_descriptor netlink(executor, dup(events));
  asio::steady_timer second(executor);
  asio::co_spawn(
      executor,
      [&]() -> asio::awaitable<void> {
        for (;;) {
          co_await netlink.async_wait(asio::posix::stream_descriptor::wait_read,
                                      asio::use_awaitable);
          tick(controller);
        }
      },
      asio::detached);
  for (;;) {
    tick(controller);
    second.expires_after(1s);
    co_await second.async_wait(asio::use_awaitable);
  }
}

Result<void> run(const Options& options) {
  if (const auto missing = kernel::missing_capabilities(); !missing.empty())
    return fail(Code::permission, kernel::explain_missing(missing));
  auto lock = lock_instance(options);
  if (!lock)
    return fail(lock.error());
  const fs::path state =
      options.state_dir.empty() ? "/var/lib/sluice/" + options.instance : options.state_dir;
  auto store = store::Store::open(state / "sluice.db");
  if (!store)
    return fail(store.error());
  auto dataplane = dataplane::xdp::Loader::open(options.instance, options.programs);
  if (!dataplane)
    return fail(dataplane.error());
  auto next_hops = kernel::NextHops::open();
  if (!next_hops)
    return fail(next_hops.error());
  control::Controller controller(**dataplane, **store, **next_hops);
  if (auto started = controller.start(); !started)
    return started;
  if (!options.config.empty())
    if (auto imported = import_config(options, controller, **store); !imported)
      return imported;

  asio::io_context io;
  asio::thread_pool control(1);
  api::Api api(controller, **store);
  api::Server server(io, control.get_executor(),
                     {.handle = [&](const api::Request& request) { return api.handle(request); },
                      .stats = [&] { return api.stats(); }});
  for (const int fd : api::take_listen_fds())
    if (auto served = server.serve(fd); !served)
      return served;
  for (const auto& endpoint : options.listen)
    if (auto listening = server.listen_tcp(endpoint, options.insecure_listen); !listening)
      return listening;
  const auto socket = options.run_dir + "/" + options.instance + ".sock";
  if (auto listening = server.listen_unix(socket); !listening)
    return listening;

  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](auto, int) { io.stop(); });
  asio::co_spawn(control, follow(controller, (*next_hops)->fd()), [](std::exception_ptr failure) {
    if (failure)  // without it backends would silently go stale
      std::terminate();
  });
  spdlog::info("sluiced {} serves instance {} at {}, generation {}{}", SLUICE_VERSION,
               options.instance, socket, controller.generation(),
               (*dataplane)->adopted() ? ", adopted a running data plane" : "");
  io.run();
  control.stop();
  control.join();
  std::error_code ignored;
  fs::remove(socket, ignored);
  spdlog::info("sluiced stops; what is attached goes on forwarding");
  return {};
}

/// Libraries throw where the kernel gives them no memory, descriptor or thread.
Result<void> run_to_the_end(const Options& options) try {
  return run(options);
} catch (const std::bad_alloc&) {
  return fail(
      Code::unavailable,
      "there is not enough memory; give sluiced more, for instance by systemd's MemoryMax=");
} catch (const std::exception& error) {
  return fail(Code::unavailable, std::string("the kernel refuses: ") + error.what() +
                                     "; see the limits of the process (ulimit -a, systemd's "
                                     "LimitNOFILE= and TasksMax=)");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Layer-4 load balancing in XDP");
  Options options;
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(
      spdlog::level::from_str(options.log_level == "warn" ? "warning" : options.log_level));
  spdlog::flush_on(spdlog::level::info);
  const auto done = run_to_the_end(options);
  if (done)
    return 0;
  std::cerr << "sluiced: " << done.error().message << "\n";
  for (const auto& fault : done.error().faults)
    std::cerr << "  " << fault.pointer << ": " << fault.message << "; " << fault.suggestion << "\n";
  return 1;
}
