// Completion for bash, made from the commands themselves, so that it never lags behind them.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace sluice::cli {

/// A script to `source`, or to put into /usr/share/bash-completion/completions/sluicectl.
std::string bash_completion(const CLI::App& app);

}  // namespace sluice::cli
