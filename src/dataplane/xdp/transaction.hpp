// What a plan writes over, kept to be put back when a later step is refused.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "dataplane/xdp/loader.hpp"

namespace sluice::dataplane::xdp {

class Loader::Transaction {
 public:
  explicit Transaction(Loader& loader);

  /// The old front and the old ranges are untouched while a plan runs, so they only have to become
  /// current again.
  /// @return what could not be undone; empty: everything was
  std::string undo();

 private:
  Result<void> reattach(const std::string& name, const planner::InterfaceImage& image);
  /// Programs, links and marks as they were.
  void undo_interfaces(std::string& left);

  Loader& loader_;
  std::uint32_t active_;
  std::vector<sl_backend> backends_;
  std::vector<sl_load> loads_;
  std::vector<sl_rate> rates_;
  std::vector<sl_backend_label> backend_labels_;
  std::vector<sl_service_label> service_labels_;
  std::vector<sl_table_label> table_labels_;
  std::map<std::string, planner::InterfaceImage> interfaces_;
  std::map<std::string, Attachments::Kept> programs_;
};

}  // namespace sluice::dataplane::xdp
