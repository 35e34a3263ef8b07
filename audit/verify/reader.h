// LogReader: the records of a log in order, for `krux audit show` and `tail`. It checks frames, not
// the chain: that is VerifyLog's.
//
//   LogReader reader("/var/lib/krux/audit");
//   RecordView record;
//   while (reader.Next(&record)) Print(record);
//   if (!reader.error().empty()) ...
//   // later: Next() again goes on with what was appended since
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "audit/verify/folder.h"

namespace krux::audit::verify {

struct RecordView {
  uint64_t seq = 0;
  uint64_t kind = 0;
  std::vector<uint8_t> record;    // deterministic CBOR
  std::vector<uint8_t> openings;  // empty where there are none
  std::string file;               // name inside the log folder
  uint64_t offset = 0;            // of the frame
};

class LogReader {
 public:
  explicit LogReader(std::string dir) : dir_(std::move(dir)) {}
  // The next record. False at the end of what is there, and after an error.
  bool Next(RecordView* record);
  // Goes to record `seq` without reading the segments before its own; false if it is not there.
  bool Find(uint64_t seq, RecordView* record);
  const std::string& error() const { return error_; }

 private:
  bool OpenSegment();
  bool ReadMore();

  std::string dir_;
  Folder folder_;
  size_t segment_ = 0;  // index of the segment being read
  bool started_ = false;
  uint64_t next_seq_ = 0;
  uint64_t base_ = 0;  // offset of buffer_ in the file
  size_t at_ = 0;
  std::vector<uint8_t> buffer_;
  std::string error_;
};

}  // namespace krux::audit::verify
