// Programs on interfaces: pinned links that outlive the daemon.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "dataplane/dataplane.hpp"
#include "dataplane/xdp/bpffs.hpp"

namespace sluice::dataplane::xdp {

class Maps;

class Attachments {
 public:
  /// Adopts the links that are pinned. A link whose interface has gone is forgotten. A program of
  /// another build is replaced in place by this one's: the link is updated, no packet passes it by.
  static Result<Attachments> adopt(const PinFolder& folder, const Maps& maps);

  /// @param slot the interface's place in tx_ports
  /// On refusal the message carries the kernel's own reason, and nothing is left attached.
  Result<void> attach(const Maps& maps, const std::string& interface,
                      const planner::InterfaceImage& image, std::uint32_t slot);
  /// Takes off marking too.
  Result<void> detach(const std::string& interface);
  /// Has the kernel give packets that pass beyond a rate limit their mark.
  Result<void> start_marking(const std::string& interface);
  Result<void> stop_marking(const std::string& interface);

  bool empty() const { return attached_.empty(); }
  /// Attached interfaces as the kernel has them now.
  std::map<std::string, planner::InterfaceImage> running() const;
  Result<std::vector<Attachment>> list() const;

 private:
  explicit Attachments(PinFolder folder) : folder_(std::move(folder)) {}
  void forget(const std::string& interface);

  struct Attached {
    Fd link, program;
    model::XdpMode mode = model::XdpMode::DRV;
  };
  PinFolder folder_;
  std::map<std::string, Attached> attached_;
};

}  // namespace sluice::dataplane::xdp
