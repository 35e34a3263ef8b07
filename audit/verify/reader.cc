#include "audit/verify/reader.h"

#include "audit/verify/frame.h"
#include "audit/verify/schema.h"

namespace krux::audit::verify {
namespace {

constexpr uint64_t kChunk = 1 << 20;

}  // namespace

// Lists the folder again: segments appear while a log is written.
bool LogReader::OpenSegment() {
  error_ = OpenFolder(dir_, &folder_);
  return error_.empty() && segment_ < folder_.segments.size();
}

bool LogReader::ReadMore() {
  std::vector<uint8_t> more;
  const uint64_t end = base_ + buffer_.size();
  error_ = ReadFile(folder_.path + "/" + folder_.segments[segment_].name, end, kChunk, &more);
  if (!error_.empty() || more.empty()) return false;
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
  base_ += at_;
  at_ = 0;
  buffer_.insert(buffer_.end(), more.begin(), more.end());
  return true;
}

bool LogReader::Next(RecordView* out) {
  if (!started_ && !OpenSegment()) return false;
  started_ = true;
  for (;;) {
    const bool ends_here = segment_ + 1 < folder_.segments.size() &&
                           next_seq_ == folder_.segments[segment_ + 1].first_seq;
    const Frame frame = ParseFrame(ByteView(buffer_).subspan(at_));
    if (frame.state == Frame::kGood && !ends_here) {
      Facts facts;
      const std::string fault = JudgeRecord(frame.record, &facts);
      if (!fault.empty()) {
        error_ = "record " + std::to_string(next_seq_) + " is no record of format 1: " + fault;
        return false;
      }
      out->seq = facts.seq;
      out->kind = facts.kind;
      out->record.assign(frame.record.begin(), frame.record.end());
      out->openings.clear();
      if (frame.openings) out->openings.assign(frame.openings->begin(), frame.openings->end());
      out->file = folder_.segments[segment_].name;
      out->offset = base_ + at_;
      at_ += frame.size;
      next_seq_ = facts.seq + 1;
      return true;
    }
    if (!ends_here && ReadMore()) continue;
    if (!error_.empty() || !OpenSegment()) return false;
    const bool more = segment_ + 1 < folder_.segments.size();
    const bool next_begins = more && folder_.segments[segment_ + 1].first_seq == next_seq_;
    if (!next_begins) {
      // An unfinished frame at the very end may still become whole. Anything else is damage.
      if (more || frame.state == Frame::kWrongCrc) {
        error_ = "record " + std::to_string(next_seq_) + " is damaged; run `krux audit verify`";
      }
      return false;
    }
    segment_ += 1;
    base_ = at_ = 0;
    buffer_.clear();
  }
}

bool LogReader::Find(uint64_t seq, RecordView* record) {
  segment_ = 0;
  base_ = at_ = 0;
  buffer_.clear();
  started_ = true;
  if (!OpenSegment()) return false;
  while (segment_ + 1 < folder_.segments.size() &&
         folder_.segments[segment_ + 1].first_seq <= seq) {
    segment_ += 1;
  }
  next_seq_ = folder_.segments[segment_].first_seq;
  while (Next(record)) {
    if (record->seq == seq) return true;
    if (record->seq > seq) return false;
  }
  return false;
}

}  // namespace krux::audit::verify
