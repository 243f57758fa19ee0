// Just enough tracking as a packet meets it, with no tricks: a specification of the data plane to
// read, to test the rules on, and to hold the BPF program against. The numbers are those of the
// rules in DESIGN.md, section 4.3.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "transition/transition.hpp"

namespace sluice::reference {

using transition::Alive;
using transition::Phase;
using transition::Slot;

/// What matters about a packet. `udp` is any packet of UDP, which has no opening.
enum class Packet : std::uint8_t { syn, other, fin_or_rst, udp, icmp_error };

/// How far a recorded flow has come.
enum class Kind : std::uint8_t {
  none = 0,    ///< an empty place
  embryo = 1,  ///< its SYN was seen, nothing after that yet
  opened = 2,  ///< opened since learning began; NEW in the rules
  old = 3,     ///< older than that: found when it spoke
};

/// Which of `slots` slots a flow is on.
inline std::size_t slot_of(std::uint64_t hash, std::size_t slots) {
  return static_cast<std::size_t>((hash >> 32) * slots >> 32);
}

/// A record, and how it is one word: signature 40 bits, backend 16, kind 2, epoch 6.
struct Record {
  std::uint64_t signature = 0;  ///< the upper 40 bits of the flow's hash, where they stand there
  std::uint16_t backend = 0;
  Kind kind = Kind::none;
  std::uint8_t epoch = 0;  ///< modulo 64

  static constexpr std::uint64_t signature_bits = 0xffffffffff000000;

  static Record unpack(std::uint64_t word) {
    return {word & signature_bits, static_cast<std::uint16_t>(word >> 8),
            static_cast<Kind>(word >> 6 & 3), static_cast<std::uint8_t>(word & 63)};
  }
  std::uint64_t pack() const {
    return signature | std::uint64_t{backend} << 8 | static_cast<std::uint64_t>(kind) << 6 | epoch;
  }
};

/// The table of records: buckets of eight.
class Records {
 public:
  static constexpr std::uint32_t idle_limit = 60;   ///< epochs; a record this old is forgotten
  static constexpr std::uint32_t embryo_limit = 3;  ///< epochs; older embryos are forgotten
  static constexpr std::uint32_t closing_time = 2;  ///< epochs that a closing flow is kept
  static constexpr std::uint32_t closing_age = idle_limit - closing_time;

  struct Settings {
    std::size_t buckets = 256;         ///< a power of two
    std::uint32_t epoch_seconds = 16;  ///< the unit of a record's epoch
    std::uint32_t inserts_per_epoch = 1'000'000;
  };
  /// What a sweep did and found.
  struct Swept {
    std::size_t deleted = 0;
    std::vector<std::uint32_t> of_others;  ///< by slot: of living backends other than the owner
  };
  /// Tells whether a backend is of the pool whose table is swept.
  using InPool = std::function<bool(std::uint16_t)>;

  explicit Records(Settings settings) : settings_(settings), buckets_(settings.buckets) {}

  /// The flow's word, or none. A record that is forgotten but still there counts: to follow it is
  /// the better guess.
  std::uint64_t* find(std::uint64_t hash) {
    for (auto& word : bucket_of(hash)) {
      const auto record = Record::unpack(word);
      if (record.kind != Kind::none && record.signature == (hash & Record::signature_bits))
        return &word;
    }
    return nullptr;
  }

  /// Rule 6. Writes down a flow that has no record; false where that is refused.
  bool insert(std::uint64_t hash, std::uint16_t backend, Kind kind, std::uint32_t now) {
    if (budget_epoch_ != now / settings_.epoch_seconds) {
      budget_epoch_ = now / settings_.epoch_seconds;
      budget_ = settings_.inserts_per_epoch;
    }
    if (budget_ > 0) {
      budget_--;
      for (auto& word : bucket_of(hash))
        if (is_forgotten(Record::unpack(word), now)) {
          write(word, hash, backend, kind, now);
          made_++;
          return true;
        }
    }
    refused_++;
    last_refused_ = now;
    return false;
  }

  /// Writes over a flow's word, as of now.
  void write(std::uint64_t& word, std::uint64_t hash, std::uint16_t backend, Kind kind,
             std::uint32_t now) const {
    word = Record{hash & Record::signature_bits, backend, kind, epoch_at(now)}.pack();
  }

  /// Whether a FIN or RST was seen lately.
  bool is_closing(const Record& record, std::uint32_t now) const {
    return record.kind != Kind::embryo && age(record, now) >= closing_age;
  }

  /// A packet of the recorded flow came. Once a FIN or RST was among them the record ages early,
  /// but still from the last packet on: a half-closed connection may go on for hours.
  void touch(std::uint64_t& word, bool closes, std::uint32_t now) const {
    auto record = Record::unpack(word);
    const bool closing = closes || is_closing(record, now);
    if (record.kind == Kind::embryo)
      record.kind = Kind::opened;
    record.epoch = epoch_at(now, closing ? closing_age : 0);
    word = record.pack();
  }

  /// The daemon's round, to be made every three epochs at least, or ages would come round to young.
  /// Deletes what is forgotten, records of dead backends, and what is of no use any more: the
  /// owner's on pinned slots, anything on settled ones.
  Swept sweep(std::span<const Slot> table, const InPool& in_pool, const Alive& alive,
              std::uint32_t now) {
    Swept swept{.of_others = std::vector<std::uint32_t>(table.size())};
    for (auto& bucket : buckets_)
      for (auto& word : bucket) {
        const auto record = Record::unpack(word);
        if (record.kind == Kind::none || !in_pool(record.backend))
          continue;
        const auto at = slot_of(record.signature, table.size());
        const auto& slot = table[at];
        const bool of_owner = record.backend == slot.owner;
        if (is_forgotten(record, now) || !alive(record.backend) || slot.phase == Phase::settled ||
            (slot.phase == Phase::pinned && of_owner)) {
          word = 0;
          swept.deleted++;
        } else if (!of_owner) {
          swept.of_others[at]++;
        }
      }
    return swept;
  }

  /// Records that are there, forgotten or not.
  std::size_t count() const {
    std::size_t present = 0;
    for (const auto& bucket : buckets_)
      for (const auto word : bucket)
        present += Record::unpack(word).kind != Kind::none;
    return present;
  }
  /// Whether half of the places or more are taken.
  bool is_half_full() const { return count() * 2 >= buckets_.size() * 8; }

  std::uint64_t made() const { return made_; }
  std::uint64_t refused() const { return refused_; }
  std::optional<std::uint32_t> last_refused() const { return last_refused_; }

 private:
  using Bucket = std::array<std::uint64_t, 8>;

  Bucket& bucket_of(std::uint64_t hash) { return buckets_[hash & (buckets_.size() - 1)]; }

  std::uint8_t epoch_at(std::uint32_t now, std::uint32_t ago = 0) const {
    return static_cast<std::uint8_t>((now / settings_.epoch_seconds - ago) & 63);
  }
  std::uint32_t age(const Record& record, std::uint32_t now) const {
    return (now / settings_.epoch_seconds - record.epoch) & 63;
  }
  /// Whether the place may be used for another flow.
  bool is_forgotten(const Record& record, std::uint32_t now) const {
    return record.kind == Kind::none || age(record, now) >= idle_limit ||
           (record.kind == Kind::embryo && age(record, now) > embryo_limit);
  }

  Settings settings_;
  std::vector<Bucket> buckets_;
  std::uint32_t budget_epoch_ = ~0u, budget_ = 0;
  std::uint64_t made_ = 0, refused_ = 0;
  std::optional<std::uint32_t> last_refused_;
};

/// The backend whose flows on this slot need no record. The data plane learns of a death a moment
/// before the slot does.
inline std::uint16_t unrecorded(const Slot& slot, const Alive& alive) {
  return slot.phase == Phase::learning && alive(slot.holder) ? slot.holder : slot.owner;
}

/// A packet of a flow that has no record: rule 2, 4 and 7.
inline std::uint16_t route_unrecorded(Records& records, const Slot& slot, std::uint64_t hash,
                                      Packet packet, const Alive& alive, std::uint32_t now) {
  const auto backend = unrecorded(slot, alive);
  if (slot.phase == Phase::pinned)
    return backend;
  if (packet == Packet::syn) {
    if (!alive(slot.owner))
      return slot.owner;  // nobody to open a flow with, and nothing to write down
    // No record, no move.
    return records.insert(hash, slot.owner, Kind::embryo, now) ? slot.owner : backend;
  }
  if (alive(backend) && records.insert(hash, backend, Kind::old, now) &&
      packet == Packet::fin_or_rst)
    records.touch(*records.find(hash), true, now);
  return backend;
}

/// A packet of a flow that has a record: rule 2 and 4.
inline std::uint16_t route_recorded(Records& records, const Slot& slot, std::uint64_t& word,
                                    std::uint64_t hash, Packet packet, const Alive& alive,
                                    std::uint32_t now) {
  const auto record = Record::unpack(word);
  const bool syn = packet == Packet::syn;
  if (alive(record.backend) && !(syn && records.is_closing(record, now))) {
    if (syn)  // again: the flow is as young as its last SYN, which anyone may have sent late
      records.write(word, hash, record.backend, record.kind, now);
    else
      records.touch(word, packet == Packet::fin_or_rst, now);
    return record.backend;
  }
  // Its backend is dead, or a closed flow's addresses and ports are used for a new one.
  if (slot.phase == Phase::pinned)
    word = 0;
  else if (alive(slot.owner))
    records.write(word, hash, slot.owner, syn ? Kind::embryo : Kind::opened, now);
  return slot.owner;
}

/// Where a packet goes, writing down what the rules say; `now` in seconds. 0: to no backend.
inline std::uint16_t route(Records& records, const Slot& slot, std::uint64_t hash, Packet packet,
                           const Alive& alive, std::uint32_t now) {
  if (slot.phase == Phase::settled)
    return slot.owner;
  std::uint64_t* const word = records.find(hash);
  if (packet == Packet::icmp_error) {  // anyone may send one: it is never written down
    if (!word)
      return unrecorded(slot, alive);
    const auto backend = Record::unpack(*word).backend;
    return alive(backend) ? backend : slot.owner;
  }
  return word ? route_recorded(records, slot, *word, hash, packet, alive, now)
              : route_unrecorded(records, slot, hash, packet, alive, now);
}

}  // namespace sluice::reference
