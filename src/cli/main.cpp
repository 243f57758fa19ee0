// sluicectl: reads the command line, makes the session, runs one command.
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>

#include "cli/commands.hpp"
#include "dataplane/xdp/loader.hpp"

using namespace sluice;
using namespace std::chrono_literals;

namespace {

volatile sig_atomic_t interrupted = 0;

/// A second, or until Ctrl-C.
bool wait_a_second() {
  poll(nullptr, 0, 1000);
  return !interrupted;
}

unsigned terminal_height() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Steers sluiced, the layer-4 load balancer. Each command has --help.");
  app.set_version_flag("--version", SLUICE_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  cli::AddressFlags flags;
  bool json = false;
  unsigned timeout = 30;
  app.add_option("--instance", flags.instance, "instance of sluiced on this machine [default]");
  app.add_option("--socket", flags.socket, "path of its Unix socket");
  app.add_option("--url", flags.url, "http://HOST:PORT instead of a Unix socket");
  app.add_option("--timeout", timeout, "seconds to wait for a reply")->capture_default_str();
  app.add_flag("--json", json, "print replies as they come");
  std::function<cli::Exit(cli::Session&)> run;
  cli::add_commands(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(cli::Exit::usage);
  }
  auto address = cli::choose_address(flags, variable);
  if (!address) {
    std::cerr << "sluicectl: " << address.error().message << "\n";
    return static_cast<int>(cli::Exit::usage);
  }
  struct sigaction action{};
  action.sa_handler = [](int) { interrupted = 1; };
  sigaction(SIGINT, &action, nullptr);

  const bool terminal = isatty(STDOUT_FILENO);
  cli::Session session{.exchange = cli::make_client(*address, std::chrono::seconds(timeout)),
                       .address = *address,
                       .out = std::cout,
                       .err = std::cerr,
                       .in = std::cin,
                       .json = json,
                       .colour = terminal && variable("NO_COLOR").empty(),
                       .terminal = terminal,
                       .detach_directly = dataplane::xdp::Loader::remove_instance,
                       .pause = wait_a_second,
                       .height = terminal_height};
  return static_cast<int>(run(session));
}
