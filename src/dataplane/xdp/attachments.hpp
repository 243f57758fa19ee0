// Programs on interfaces: pinned links that outlive the daemon, and the programs that they lead to.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "dataplane/dataplane.hpp"
#include "dataplane/xdp/bpffs.hpp"

namespace sluice::dataplane::xdp {

class Maps;

/// A loaded program with what it says of itself.
struct LoadedProgram {
  Fd program;
  std::string version;
};

class Attachments {
 public:
  /// Adopts the links that are pinned, whatever program runs behind them: it goes on. A link whose
  /// interface has gone is forgotten, and so is a layout of maps that no link uses any more. A
  /// change of programs at which a daemon was killed is finished.
  static Attachments adopt(const PinFolder& folder);

  /// On refusal the message carries the kernel's own reason, and nothing is left attached.
  Result<void> attach(const Maps& maps, const std::string& interface,
                      const planner::InterfaceImage& image, LoadedProgram program);
  /// Takes off marking too.
  Result<void> detach(const std::string& interface);
  /// Has the kernel give packets that pass beyond a rate limit their mark.
  Result<void> start_marking(const std::string& interface);
  Result<void> stop_marking(const std::string& interface);
  /// Puts another program behind the link, by compare-and-swap with the one that is known to be
  /// there. If it is another one by its tag, that one can be put back.
  Result<void> replace(const Maps& maps, const std::string& interface, LoadedProgram program);
  /// Puts the program before back; what ran until now is then the one before.
  Result<void> put_back(const std::string& interface);
  /// The same for an interface that another layout of maps holds. It can be given back until
  /// forget_taken_over().
  Result<void> take_over(const Maps& maps, const std::string& interface,
                         const planner::InterfaceImage& image, LoadedProgram program);

  /// Which programs are and were on the interfaces, to be restored when a plan fails.
  struct Kept {
    Fd running, previous;
  };
  std::map<std::string, Kept> programs() const;
  Result<void> restore(const std::string& interface, const Kept& programs);
  /// Gives what was taken over back to the program of its layout.
  Result<void> give_back();
  /// Nothing is given back any more: layouts without links go, with their maps.
  void forget_taken_over();

  bool empty() const { return attached_.empty() && inherited_.empty(); }
  /// Attached interfaces as the kernel has them now.
  std::map<std::string, planner::InterfaceImage> running() const;
  /// Those that programs of another layout of maps hold.
  std::map<std::string, planner::InheritedImage> inherited() const;
  Result<std::vector<Attachment>> list(const Maps& maps) const;

 private:
  explicit Attachments(PinFolder folder) : folder_(std::move(folder)) {}

  struct Attached {
    Fd link;
    Fd program;   ///< none: the link leads to one that is not pinned and that we may not look up
    Fd previous;  ///< none: there is nothing to go back to
    model::XdpMode mode = model::XdpMode::DRV;
  };
  struct Inherited {
    Attached attached;
    PinFolder folder;
  };

  void forget(const std::string& interface);
  void adopt_programs(const std::string& interface, Attached& attached) const;
  void adopt_others();
  Result<void> swap(const std::string& interface, Attached& attached, Fd program);
  void label(const Maps& maps, int program, const std::string& version) const;

  PinFolder folder_;
  std::map<std::string, Attached> attached_;
  std::map<std::string, Inherited> inherited_, taken_over_;
};

}  // namespace sluice::dataplane::xdp
