#include "audit/verify/walk.h"

#include <algorithm>

namespace krux::audit::verify {
namespace {

constexpr uint64_t kMaxSegment = 256ull << 20;  // bytes; a writer stops at 64 MiB

std::string Record(uint64_t seq) { return "record " + std::to_string(seq); }

std::string Range(uint64_t first, uint64_t end) {
  if (end - first == 1) return Record(first);
  return "records " + std::to_string(first) + " to " + std::to_string(end - 1);
}

bool Equal(ByteView a, const Hash& b) { return std::ranges::equal(a, b); }

}  // namespace

Walk::Walk(const Folder& folder, uint64_t signed_size, std::optional<Hash> expected,
           std::map<uint64_t, StatedHead>* heads, Report* report)
    : folder_(folder),
      signed_size_(signed_size),
      expected_(expected),
      heads_(heads),
      report_(report),
      log_id_(folder.log_id) {}

void Walk::Add(Place place, std::optional<uint64_t> seq, Exit cls, std::string text) {
  if (cls == kTampered) clean_ = false;
  if (report_->faults.size() >= kMaxFaults) {
    report_->more_faults += 1;
    return;
  }
  report_->faults.push_back({place.file->name, place.offset, seq, cls, std::move(text)});
}

void Walk::Run() {
  const std::vector<SegmentFile>& files = folder_.segments;
  for (size_t i = 0; i < files.size(); ++i) {
    const bool last = i + 1 == files.size();
    if (files[i].first_seq > next_) {
      Add({&files[i], 0}, next_, kTampered,
          Range(next_, files[i].first_seq) + " missing before this segment");
      next_ = files[i].first_seq;
      leaf_.reset();
    }
    // INVARIANT: a segment ends where the name of the next one begins. What lies behind that in the
    // file was given up by the writer and must be declared.
    WalkSegment(files[i], last ? UINT64_MAX : files[i + 1].first_seq, last);
  }
  JudgeTails();
  JudgeRedactions();
  JudgeHeads();
  report_->records = next_;
  report_->log_id = log_id_;
  if (leaf_) report_->head = Hex(*leaf_);
}

void Walk::WalkSegment(const SegmentFile& file, uint64_t end_seq, bool last) {
  std::vector<uint8_t> content;
  if (const std::string why = ReadFile(folder_.path + "/" + file.name, 0, kMaxSegment, &content);
      !why.empty()) {
    Add({&file, 0}, next_, kTampered, "the segment cannot be read: " + why);
    leaf_.reset();
    return;
  }
  const ByteView bytes(content);
  FrameFinder finder(bytes);
  finder_ = &finder;
  size_t at = 0;
  first_in_segment_ = true;
  while (at < bytes.size() && next_ < end_seq) {
    const Frame frame = ParseFrame(bytes.subspan(at));
    const Place place{&file, at};
    const size_t used =
        frame.state == Frame::kGood ? TakeGood(frame, place) : TakeDamaged(bytes, at, place, last);
    if (used == 0) break;
    at += used;
    first_in_segment_ = false;
  }
  EndOfSegment(bytes, at, file, last);
}

// What is left behind the last frame: nothing, a torn write, or what the writer gave up.
void Walk::EndOfSegment(ByteView bytes, size_t at, const SegmentFile& file, bool last) {
  if (at == bytes.size()) return;
  const ByteView rest = bytes.subspan(at);
  if (!last) {
    tails_.push_back({file.first_seq, at, rest.size(), Sha256(rest), &file, next_});
    return;
  }
  if (next_ < signed_size_) {
    Add({&file, at}, next_, kTampered,
        Record(next_) + " is damaged or cut off, and it was signed (" +
            std::to_string(signed_size_) + " records are)");
    leaf_.reset();
    return;
  }
  Add({&file, at}, next_, kIncomplete,
      "a torn write of " + std::to_string(rest.size()) + " bytes follows the last record");
}

size_t Walk::TakeGood(const Frame& frame, Place place) {
  Facts facts;
  const std::string fault = JudgeRecord(frame.record, &facts);
  if (!fault.empty()) {
    Add(place, next_, kTampered, Record(next_) + " is no record of format 1: " + fault);
    SetLeaf(LeafHash(frame.record), false, place);
    return frame.size;
  }
  if (facts.seq > next_) {
    Add(place, next_, kTampered,
        Range(next_, facts.seq) + " missing: " + Record(facts.seq) + " follows");
  } else if (facts.seq < next_) {
    Add(place, facts.seq, kTampered,
        Record(facts.seq) + " stands again where " + Record(next_) +
            " belongs: one of the two is forged");
  }
  if (facts.seq != next_) {
    next_ = facts.seq;
    leaf_.reset();
  }
  JudgeLink(facts, place);
  if (facts.kind == kSegment || first_in_segment_) JudgeSegmentRecord(facts, place);
  JudgePairing(facts, place);
  if (const std::string why = sessions_.Take(facts, clean_); !why.empty())
    Add(place, facts.seq, kTampered, Record(facts.seq) + ": " + why);
  MissingOpenings missing{place, {}};
  const std::string openings = JudgeOpenings(frame.openings, facts, &missing.keys);
  if (!openings.empty()) Add(place, facts.seq, kTampered, Record(facts.seq) + ": " + openings);
  if (!missing.keys.empty()) missing_[facts.seq] = std::move(missing);
  if (facts.tail) declared_.push_back(*facts.tail);
  if (facts.redacts) {
    redacted_[*facts.redacts].insert(facts.redacted_keys.begin(), facts.redacted_keys.end());
  }
  SetLeaf(LeafHash(frame.record), true, place);
  return frame.size;
}

void Walk::JudgeLink(const Facts& facts, Place place) {
  if (facts.seq == 0) {
    if (!Equal(facts.prev, Hash{})) {
      Add(place, 0, kTampered, "record 0 does not start a log: its `prev` is not zero");
    }
    return;
  }
  // A link to a record that is lost or was named as damaged says nothing new.
  if (!leaf_ || !leaf_certain_ || Equal(facts.prev, *leaf_)) return;
  Add(leaf_place_, facts.seq - 1, kTampered,
      Record(facts.seq - 1) + " is not the one that " + Record(facts.seq) + " was chained to");
}

void Walk::JudgeSegmentRecord(const Facts& facts, Place place) {
  if (facts.kind != kSegment || !first_in_segment_) {
    Add(place, facts.seq, kTampered,
        facts.kind == kSegment ? Record(facts.seq) + " begins a segment in the middle of one"
                               : "the segment does not begin with its segment record");
    return;
  }
  if (log_id_.empty()) log_id_ = Hex(facts.log_id);
  if (Hex(facts.log_id) != log_id_) {
    Add(place, facts.seq, kTampered, "the segment belongs to another log: " + Hex(facts.log_id));
  }
  if (facts.first_seq != facts.seq || facts.seq != place.file->first_seq ||
      !std::ranges::equal(facts.segment_prev, facts.prev)) {
    Add(place, facts.seq, kTampered,
        Record(facts.seq) + " names another place in the log than its own");
  }
  if (!clean_) return;
  bool same = facts.open.size() == open_.size();
  for (const auto& [seq, call_id] : facts.open) {
    const auto known = open_.find(seq);
    same = same && known != open_.end() && std::ranges::equal(known->second, call_id);
  }
  if (!same)
    Add(place, facts.seq, kTampered,
        Record(facts.seq) + " names other open intents than there are");
}

// One outcome per intent, after it, of the same call.
void Walk::JudgePairing(const Facts& facts, Place place) {
  if (facts.kind == kIntent) open_[facts.seq].assign(facts.call_id.begin(), facts.call_id.end());
  if (!facts.closes) return;
  const auto intent = open_.find(*facts.closes);
  const bool matches = intent != open_.end() && std::ranges::equal(intent->second, facts.call_id);
  if (!matches && clean_) {
    Add(place, facts.seq, kTampered,
        Record(facts.seq) + " closes intent " + std::to_string(*facts.closes) +
            ", which is not open or of another call");
  }
  if (intent != open_.end()) open_.erase(intent);
}

void Walk::SetLeaf(const Hash& leaf, bool certain, Place place) {
  leaf_ = leaf;
  leaf_certain_ = certain;
  leaf_place_ = place;
  next_ += 1;
  if (expected_ && leaf == *expected_) found_expected_ = true;
  const auto stated = heads_->find(next_);
  if (stated == heads_->end()) return;
  stated->second.seen = certain;
  stated->second.matched = leaf == stated->second.head;
}

// A place where no good frame is. 0: nothing good follows, the rest is the segment's tail.
size_t Walk::TakeDamaged(ByteView bytes, size_t at, Place place, bool last) {
  const Frame frame = ParseFrame(bytes.subspan(at));
  // Above the signed size a bad frame may be a torn write. What stands inside it is its own, also a
  // whole frame that an agent sent as an argument.
  const bool may_be_torn = last && next_ >= signed_size_;
  if (may_be_torn && frame.cut) return 0;
  const bool skip = may_be_torn && frame.state == Frame::kWrongCrc;
  const size_t found = finder_->Find(at + (skip ? frame.size : 1));
  const bool shaped = frame.state == Frame::kWrongCrc && at + frame.size == found;
  if (shaped && (found < bytes.size() || (last && next_ < signed_size_))) {
    Add(place, next_, kTampered, Record(next_) + " is damaged: its checksum does not match");
    SetLeaf(LeafHash(frame.record), false, place);
    return frame.size;
  }
  if (found == bytes.size()) return 0;
  Facts facts;
  const Frame good = ParseFrame(bytes.subspan(found));
  const bool known = JudgeRecord(good.record, &facts).empty();
  const uint64_t until = known && facts.seq > next_ ? facts.seq : next_;
  if (until > next_) {
    Add(place, next_, kTampered, Range(next_, until) + " damaged: no frame can be read here");
  } else {
    Add(place, next_, kTampered,
        std::to_string(found - at) + " bytes that are no record stand before " + Record(next_));
  }
  next_ = until;
  leaf_.reset();
  return found - at;
}

void Walk::JudgeTails() {
  for (const Tail& tail : tails_) {
    const bool declared = std::ranges::any_of(declared_, [&](const DeclaredTail& d) {
      return d.segment == tail.segment && d.offset == tail.offset &&
             (d.exact ? d.bytes == tail.bytes && d.sha256 == tail.sha256 : tail.bytes <= d.bytes);
    });
    if (declared) continue;
    Add({tail.file, tail.offset}, tail.seq, kTampered,
        "the segment ends in " + std::to_string(tail.bytes) + " bytes that no record accounts for");
  }
}

void Walk::JudgeRedactions() {
  for (const auto& [seq, missing] : missing_) {
    for (const uint64_t key : missing.keys) {
      if (redacted_[seq].contains(key)) continue;
      Add(missing.place, seq, kTampered,
          Record(seq) + ": the opening of key " + std::to_string(key) +
              " is missing without a redaction");
    }
  }
}

// After the first head that does not match, none can: the first names the range.
void Walk::JudgeHeads() {
  uint64_t matched = 0;
  for (const auto& [size, stated] : *heads_) {
    if (size > next_ || !stated.seen) continue;
    if (stated.matched) {
      matched = size;
      continue;
    }
    const bool named = std::ranges::any_of(report_->faults, [&](const Fault& f) {
      return f.cls == kTampered && f.seq && *f.seq >= matched && *f.seq < size;
    });
    if (!named) {
      const SegmentFile checkpoints{0, "checkpoints"};
      Add({&checkpoints, stated.at}, matched, kTampered,
          Range(matched, size) + ": not what was signed at size " + std::to_string(size) +
              "; every checksum and link may have been made anew");
    }
    return;
  }
}

}  // namespace krux::audit::verify
