// The commands of sluicectl: what they are called, what they take, what they ask of the daemon.
#pragma once

#include <functional>

#include "cli/session.hpp"

namespace CLI {
class App;
}

namespace sluice::cli {

/// Adds all commands to the app. Parsing one of them sets `run` to what it does.
void add_commands(CLI::App& app, std::function<Exit(Session&)>& run);

}  // namespace sluice::cli
