// What a restart must not lose, worked out anew from the records (docs/AUDIT_FORMAT.md §6):
// compared with what each segment begins with, and judged to go one way.
//
//   Sessions sessions;
//   if (const std::string why = sessions.Take(facts, true); !why.empty()) ...   // every record
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "audit/verify/schema.h"

namespace krux::audit::verify {

class Sessions {
 public:
  // What is wrong with the record, or "". Records come in the order of the log. `judge`: every
  // record before this one was whole; else what the segment says is believed.
  std::string Take(const Facts& facts, bool judge);

 private:
  using Bytes = std::vector<uint8_t>;
  struct Lattice {
    Bytes raw = {0xa0};  // as encoded: an empty map
    std::map<uint64_t, uint64_t> numbers;
  };
  struct Entry {
    Bytes opened;  // encoded details; empty: no session
    Lattice state, budget;
    std::map<uint64_t, uint64_t> since;
    std::set<Bytes> labels;
  };
  // The parts of a body that matter here; views into the record.
  struct Parts;

  std::string TakeCarried(const Bytes& id, ByteView details, bool judge);
  std::string TakeSession(const Parts& parts, uint64_t seq, bool judge);
  std::string TakeDecision(const Parts& parts, const Facts& facts, bool judge);
  std::string TakeOutcome(const Parts& parts, const Facts& facts, bool judge);
  std::string TakeCarriedPolicies(ByteView details, bool judge);
  std::string EndHead(bool judge);
  static std::string SetState(Entry* entry, ByteView raw, uint64_t seq, bool judge);
  static std::string SetBudget(Entry* entry, ByteView raw, bool judge);
  static Lattice Read(ByteView raw);
  void AddLabels(const Bytes& work, ByteView labels);
  void Forget(const Bytes& id);
  void Believe(const Bytes& id, ByteView details);
  Bytes Encoded(const Bytes& id, const Entry& entry) const;

  std::map<Bytes, Entry> entries_;
  std::map<uint64_t, Bytes> open_;  // intents without outcome → session
  size_t sets_ = 0, labels_ = 0;
  bool head_ = false;  // of a segment: only `carried` so far
  Bytes policies_;     // of the gateway, encoded
  Bytes seen_policies_;
  std::map<Bytes, Bytes> seen_;  // there, encoded
};

}  // namespace krux::audit::verify
