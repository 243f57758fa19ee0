// Errors as values: what every fallible call in Sluice returns.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "base/text.hpp"

namespace sluice {

/// One thing that is wrong with an input: where (RFC 6901 JSON pointer), what, and how to mend it.
struct Fault {
  std::string pointer;
  std::string message;
  std::string suggestion;
};

/// Why a call failed, coarse enough to choose an HTTP status or an exit code from.
enum class Code {
  malformed,     ///< the input cannot be read at all: not JSON
  invalid,       ///< the input breaks a rule; `faults` says which
  not_found,     ///< the named thing does not exist
  exists,        ///< the named thing exists already
  full,          ///< a table has no room left
  stale,         ///< the caller's generation is not the running one
  precondition,  ///< the caller must say which generation it saw
  permission,    ///< a right or capability is missing
  unsupported,   ///< this kernel, driver or build cannot do it
  unavailable,   ///< cannot be done now; trying again may help
  kernel,        ///< the kernel refused; `message` carries its reason
  internal,      ///< a defect of ours
};

/// A failed call: a sentence for people, and for `Code::invalid` every fault that was found.
struct Error {
  Code code = Code::internal;
  std::string message;
  std::vector<Fault> faults;
};

template <class T = void>
using Result = tl::expected<T, Error>;

/// Makes the failing side of any Result: `return fail(Code::full, "…")`.
inline tl::unexpected<Error> fail(Code code, std::string message, std::vector<Fault> faults = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(faults)});
}

/// `Code::invalid` with every fault: "the configuration has 3 faults". One place counts them,
/// because an argument list may move them away before it counts.
inline tl::unexpected<Error> faulty(std::string_view what, std::vector<Fault> faults) {
  auto message = std::string(what) + " has " + counted(faults.size(), "fault");
  return fail(Code::invalid, std::move(message), std::move(faults));
}

/// Hands an error on to the caller of a function with another value type.
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace sluice
