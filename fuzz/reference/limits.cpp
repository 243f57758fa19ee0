// Limits of packets: of all services together, and of single backends.
#include "model.hpp"

namespace sluice::reference {

/// Beyond a limit: dropped, or the kernel's with a mark before it.
Model::Answer Model::excess(const Parsed& packet) const {
  if (world_->mark && packet.frame.headroom >= sizeof(sl_mark))
    return pass(SL_REASON_RATE_LIMITED);
  return drop(SL_REASON_RATE_LIMITED);
}

/// Is there something left for all services? Nothing, or the packet's end.
Model::End Model::admit(const Parsed& packet, const Service& service) {
  if (world_->limit.burst == 0)
    return {};
  auto& left = buckets_.allowance;
  if (left == 0 || buckets_.allowed_at != now_) {
    left = buckets_.all.take(world_->limit, world_->batch, now_);
    buckets_.allowed_at = now_;
    if (left == 0)
      return dropped(excess(packet), service.id, 0);
  }
  left--;
  return {};
}

/// Does the packet fit the way to its backend, and is there something left of what that may have?
/// Nothing, or its end.
Model::End Model::hold_back(const Parsed& packet, std::uint16_t id) {
  const auto& backend = world_->backends[id];
  if (packet.ip_length > backend.room())
    return refuse(packet, id);
  if (backend.limit.burst && !buckets_.backend[id].take(backend.limit, 1, now_))
    return excess(packet);
  return {};
}

std::string Model::compare_mark(const Outcome& seen) const {
  const sl_mark expected{SL_MARK_MAGIC, world_->mark};
  if (seen.meta.size() == sizeof expected &&
      std::memcmp(seen.meta.data(), &expected, sizeof expected) == 0)
    return {};
  return "no mark stands before it";
}

}  // namespace sluice::reference
