// The walk over the chain: segment by segment, frame by frame, every fault named and the rest
// judged all the same.
//
//   Walk walk(folder, heads, &report);
//   walk.Run();
#pragma once

#include <map>
#include <set>

#include "audit/verify/folder.h"
#include "audit/verify/frame.h"
#include "audit/verify/schema.h"
#include "audit/verify/sessions.h"
#include "audit/verify/verify.h"

namespace krux::audit::verify {

// A head that a checkpoint states, by size. `at` is the offset of the entry in its file.
struct StatedHead {
  Hash head{};
  uint64_t at = 0;
  bool matched = false;
  bool seen = false;  // record size - 1 was there to be compared
};

class Walk {
 public:
  // `heads` gets its `matched` and `seen`. `signed_size` tells a torn end from a cut one.
  Walk(const Folder& folder, uint64_t signed_size, std::optional<Hash> expected,
       std::map<uint64_t, StatedHead>* heads, Report* report);
  void Run();
  bool found_expected() const { return found_expected_; }

 private:
  // A place in a segment, and the record that belongs there.
  struct Place {
    const SegmentFile* file;
    uint64_t offset;
  };
  struct Tail {
    uint64_t segment, offset;
    uint64_t bytes;
    Hash sha256;
    const SegmentFile* file;
    uint64_t seq;
  };

  void WalkSegment(const SegmentFile& file, uint64_t end_seq, bool last);
  // Each answers how many bytes were used.
  size_t TakeGood(const Frame& frame, Place place);
  size_t TakeDamaged(ByteView bytes, size_t at, Place place, bool last);
  void JudgeLink(const Facts& facts, Place place);
  void JudgePairing(const Facts& facts, Place place);
  void JudgeSegmentRecord(const Facts& facts, Place place);
  void SetLeaf(const Hash& leaf, bool certain, Place place);
  void EndOfSegment(ByteView bytes, size_t at, const SegmentFile& file, bool last);
  void JudgeTails();
  void JudgeRedactions();
  void JudgeHeads();
  void Add(Place place, std::optional<uint64_t> seq, Exit cls, std::string text);

  const Folder& folder_;
  const uint64_t signed_size_;
  const std::optional<Hash> expected_;
  std::map<uint64_t, StatedHead>* heads_;
  Report* report_;

  uint64_t next_ = 0;         // seq of the next record
  std::optional<Hash> leaf_;  // of record next_ - 1; nothing where its bytes are lost
  bool leaf_certain_ = true;  // false: that record is damaged and was named already
  Place leaf_place_{};
  bool first_in_segment_ = false;
  bool clean_ = true;  // no fault so far: what depends on earlier records can be judged
  bool found_expected_ = false;
  std::string log_id_;                             // hex
  std::map<uint64_t, std::vector<uint8_t>> open_;  // intents without outcome
  Sessions sessions_;
  std::vector<Tail> tails_;
  std::vector<DeclaredTail> declared_;
  struct MissingOpenings {
    Place place;
    std::vector<uint64_t> keys;
  };
  std::map<uint64_t, MissingOpenings> missing_;
  std::map<uint64_t, std::set<uint64_t>> redacted_;
  FrameFinder* finder_ = nullptr;  // of the segment under way
};

}  // namespace krux::audit::verify
