// Programs on interfaces: pinned links that outlive the daemon, and the programs that they lead to.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "dataplane/dataplane.hpp"
#include "dataplane/xdp/bpffs.hpp"
#include "dataplane/xdp/variant.hpp"

namespace sluice::dataplane::xdp {

class Maps;

/// Loads a variant of the same code as this program's. Code::not_found if nobody has that code.
using LoadSame =
    std::function<Result<LoadedProgram>(const planner::Program& program, bool multi_buffer)>;

class Attachments {
 public:
  /// Adopts the links that are pinned, whatever program runs behind them: it goes on. A link whose
  /// interface has gone is forgotten, and so is a layout of maps that no link uses any more. A
  /// change of programs at which a daemon was killed is finished.
  static Attachments adopt(const PinFolder& folder, const Maps& maps);

  /// On refusal the message carries the kernel's own reason, and nothing is left attached.
  Result<void> attach(const Maps& maps, const std::string& interface,
                      const planner::InterfaceImage& image, const LoadVariant& load);
  /// Takes off marking too.
  Result<void> detach(const std::string& interface);
  /// Has the kernel give packets that pass beyond a rate limit their mark.
  Result<void> start_marking(const std::string& interface);
  Result<void> stop_marking(const std::string& interface);
  /// Puts another program behind the link, by compare-and-swap with the one that is known to be
  /// there. If it is another one by its tag, that one can be put back.
  Result<void> replace(const Maps& maps, const std::string& interface, const LoadVariant& load);
  /// Puts the program before back, in the variant that the MTU asks for by now; what ran until now
  /// is then the one before.
  Result<void> put_back(const Maps& maps, const std::string& interface, const LoadSame& load);
  /// Puts the variant for another MTU behind the link. What the driver does not take, and what
  /// nobody has, is left as it is.
  /// @param load for the running program
  Result<void> fit(const Maps& maps, const std::string& interface, bool jumbo,
                   const LoadSame& load);
  /// The same for an interface that another layout of maps holds. It can be given back until
  /// forget_taken_over().
  Result<void> take_over(const Maps& maps, const std::string& interface,
                         const planner::InterfaceImage& image, const LoadVariant& load);

  /// Which programs are and were on the interfaces, to be restored when a plan fails.
  struct Kept {
    Fd running, previous;
    bool jumbo = false;
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
    bool jumbo = false;  ///< the variant was chosen for a large MTU
  };
  struct Inherited {
    Attached attached;
    PinFolder folder;
  };

  void forget(const std::string& interface);
  void adopt_programs(const std::string& interface, Attached& attached) const;
  void adopt_others();
  /// @param refused set to the kernel's errno where it refuses this program
  Result<void> swap(const std::string& interface, Attached& attached, Fd program,
                    int* refused = nullptr);
  void label(const Maps& maps, int program, const std::string& version) const;

  PinFolder folder_;
  std::map<std::string, Attached> attached_;
  std::map<std::string, Inherited> inherited_, taken_over_;
};

}  // namespace sluice::dataplane::xdp
