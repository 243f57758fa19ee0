// The configuration as its rules see it: each pool with its settings, its backends, and where the
// document has them.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/config.hpp"

namespace sluice::model {

/// Places of a document that could not be read: what stands there in the structs is not what the
/// operator wrote, so no rule may judge it.
class Unread {
 public:
  explicit Unread(const std::vector<Fault>& faults);
  /// True if the place, something around it or something in it could not be read.
  bool covers(std::string_view pointer) const;

 private:
  std::set<std::string, std::less<>> pointers_;
};

/// A backend and its JSON pointer.
struct PlacedBackend {
  const Backend* backend;
  std::string pointer;
};

struct PoolLayout {
  Forwarding forwarding = Forwarding::nat;
  bool forwarding_known = true;  ///< false: the document's value could not be read
  bool preserve_client_address = false;
  Algorithm algorithm = Algorithm::maglev;
  bool algorithm_known = true;  ///< likewise
  std::uint32_t table_size = 0;
  std::optional<QuicSettings> quic;     ///< absent also if it could not be read
  std::vector<PlacedBackend> backends;  ///< of those that could be read
};

/// All pools by name. Entries of `l4_backends` that name another pool count there, in place of its
/// backend of the same address and port. Pointers and the backends' addresses are into `config`.
std::map<std::string, PoolLayout> lay_out(const Config& config, const Unread& unread);

/// Moves those entries of `l4_backends` for good.
void distribute_backends(Config& config);

}  // namespace sluice::model
