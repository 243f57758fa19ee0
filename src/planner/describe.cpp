// Steps in words.
#include <algorithm>

#include "base/text.hpp"
#include "model/quic.hpp"
#include "planner/plan.hpp"

namespace sluice::planner {

namespace {

std::string name_of(const BackendKey& key) {
  return endpoint_to_string(key.address, key.port) + " of pool " + key.pool;
}

std::string_view name_of(model::XdpMode mode) {
  switch (mode) {
  case model::XdpMode::SKB:
    return "SKB";
  case model::XdpMode::DRV:
    return "DRV";
  case model::XdpMode::HW:
    return "HW";
  }
  return "?";
}

struct Describe {
  std::string operator()(const PutBackend& step) const {
    return "write backend " + name_of(step.key) +
           (step.backend.resolved ? " via " + step.backend.destination_mac.to_string()
                                  : std::string(", which is unroutable")) +
           (step.backend.quic_server_id.empty()
                ? std::string()
                : ", QUIC server id " + model::server_id_to_string(step.backend.quic_server_id));
  }
  std::string operator()(const FillTable& step) const {
    if (step.table.slots.empty())
      return "leave pool " + step.pool + " without slots: it has no enabled backend";
    return "fill " + std::to_string(step.table.slots.size()) + " slots of pool " + step.pool +
           quic_of(step.table);
  }
  std::string operator()(const MarkSlots& step) const {
    const auto in_transition = static_cast<std::size_t>(
        std::ranges::count_if(step.table.holders, [](auto holder) { return holder != 0; }));
    const auto slots = in_transition == 0
                           ? "all slots of pool " + step.pool + " are settled" +
                                 (step.table.tracked ? ", its flows are remembered" : "")
                           : "of pool " + step.pool + " " + counted(in_transition, "slot") + " " +
                                 (in_transition == 1 ? "is" : "are") + " in transition";
    return slots + quic_of(step.table);
  }
  static std::string quic_of(const TableImage& table) {
    if (table.quic == QuicImage{})
      return {};
    return ", QUIC connections follow server ids of " +
           counted(table.quic.server_id_length, "byte") + " in config rotation " +
           std::to_string(table.quic.config_rotation);
  }
  std::string operator()(const FillAccessList& step) const {
    return "write access lists of " + std::to_string(step.entries.size()) +
           (step.entries.size() == 1 ? " entry" : " entries");
  }
  std::string operator()(const SwapFront& step) const {
    return "switch to a new front of " + counted(step.services.size(), "service");
  }
  std::string operator()(const ForgetFlows& step) const {
    return "forget the flows of pool " + step.pool + " that its table no longer leads to";
  }
  std::string operator()(const ForgetTable& step) const {
    if (step.slots == 0)
      return "forget pool " + step.pool + ", which had no slots";
    return "free " + std::to_string(step.slots) + " slots of the old table of pool " + step.pool;
  }
  std::string operator()(const RemoveBackend& step) const {
    return "remove backend " + name_of(step.key);
  }
  std::string operator()(const StartMarking& step) const {
    return "mark packets beyond the rate limits that come in by " + step.interface;
  }
  std::string operator()(const StopMarking& step) const {
    return "mark no packets any more that come in by " + step.interface;
  }
  std::string operator()(const Detach& step) const { return "detach " + step.interface; }
  std::string operator()(const TakeOver& step) const {
    return "take " + step.interface + " over from the program with map layout " +
           std::to_string(step.layout) + ", in place";
  }
  std::string operator()(const ReplaceProgram& step) const {
    const auto version = step.version.empty() ? "of unknown version" : "version " + step.version;
    return step.name.empty()
               ? "put the program before, " + version + ", back on " + step.interface + ", in place"
               : "replace the program on " + step.interface + " by " + version + " (" + step.name +
                     "), in place";
  }
  std::string operator()(const FitProgram& step) const {
    return "put the program on " + step.interface + " into the " +
           (step.jumbo ? "multi-buffer" : "single-buffer") + " variant for its MTU of " +
           std::to_string(step.mtu) + ", in place, if its driver takes that";
  }
  std::string operator()(const Attach& step) const {
    return "attach " + step.interface + " in mode " + std::string(name_of(step.image.mode)) +
           (step.image.jumbo ? ", in the multi-buffer variant that its MTU asks for" : "");
  }
};

}  // namespace

std::string describe(const Step& step) {
  return std::visit(Describe{}, step);
}

}  // namespace sluice::planner
