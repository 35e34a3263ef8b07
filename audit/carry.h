// Carry: what a restart must not lose, by id (and of the policies, their epoch): of a session how
// it was opened, its state and what is left of its budget, of a workspace the labels of its files.
// It follows from the records alone (docs/AUDIT_FORMAT.md §6), and a segment begins with it, so
// that the last segment is enough. What the numbers mean is the gateway's business.
//
//   Carry carry;
//   carry.Apply(seq, draft.kind, draft.body);          // for every record that is durable
//   std::vector<Draft> head = carry.Records();         // what the next segment begins with
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "audit/record.h"

namespace krux::audit {

class Carry {
 public:
  static constexpr size_t kMaxSessions = 4096;
  static constexpr size_t kMaxSets = 4096;          // of labels
  static constexpr size_t kMaxLabels = 1024;        // of one set
  static constexpr size_t kMaxAllLabels = 65'536;   // of all sets together
  static constexpr size_t kMaxLabelBytes = 48;      // of one label
  static constexpr size_t kMaxNewLabels = 256;      // of one record
  static constexpr size_t kMaxOpenedBytes = 8192;   // how a session was opened, encoded
  static constexpr size_t kMaxLatticeEntries = 32;  // of a state or budget

  // Whether a record with this draft could be carried: kBadData where what is to be carried is
  // malformed, kAudit where there is no room for one more session.
  Result<void> Check(const Draft& draft) const;
  // What a record means for it. Others than session, intent, outcome and the like mean nothing.
  void Apply(uint64_t seq, Kind kind, const cbor::Map& body);
  // One `session` record "carried" for each id, and one `admin` record for the policies.
  std::vector<Draft> Records() const;
  // Details of the ids after `after` (empty: from the first), as [id, details], until they have
  // `max_bytes`; `*left` is how many follow. Where none does, [id of zeros, {"policies"}] stands
  // last.
  cbor::Array Page(const cbor::Bytes& after, size_t max_bytes, uint64_t* left) const;
  size_t size() const { return entries_.size(); }
  bool operator==(const Carry&) const = default;

 private:
  struct Entry {
    cbor::Map opened, state, budget;     // no `opened`: no session, only labels
    std::map<uint64_t, uint64_t> since;  // bit of state key 0 → record that brought it
    std::set<cbor::Bytes> labels;
    bool operator==(const Entry&) const = default;
  };
  void ApplySession(uint64_t seq, const cbor::Map& body);
  void Forget(const cbor::Bytes& id);
  void ApplyCarried(const cbor::Bytes& id, const cbor::Map& details);
  void ApplyDecision(uint64_t seq, Kind kind, const cbor::Map& body);
  void AddLabels(const cbor::Bytes& work, const cbor::Array& labels);
  cbor::Map Details(const cbor::Bytes& id, const Entry& entry) const;

  std::map<cbor::Bytes, Entry> entries_;
  cbor::Map policies_;  // {"epoch", "digest"} of the last admin record that names them
  std::map<uint64_t, cbor::Bytes> open_;  // intents without outcome → session
  size_t sets_ = 0;
  size_t labels_ = 0;
};

// Whether a draft is one of the records that a segment begins with.
bool IsCarried(Kind kind, const cbor::Map& body);

}  // namespace krux::audit
