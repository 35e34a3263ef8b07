// Segment: one append-only file of frames, seg-<first seq>.klog, and the only code that writes it.
// Write() is one writev and one fdatasync. Once either failed, the segment is done for good: its
// descriptor is never synced again, because a second fdatasync(2) after an error can answer 0 for
// pages that were dropped (fsync(2), NOTES).
//
//   Segment segment = KRUX_TRY(Segment::Create(io, dir, 0, 64 << 20));
//   KRUX_TRY(segment.Write(frames));
#pragma once

#include <string>
#include <vector>

#include "audit/io.h"
#include "base/digest.h"

namespace krux::audit {

inline constexpr uint64_t kSegmentBytes = 64ull << 20;
inline constexpr uint64_t kLeastReserve = 1 << 20;  // behind what a segment holds already

std::string SegmentName(uint64_t first_seq);  // "seg-00000000000000000000.klog"
// Removes, or keeps aside as torn-<seq>-0.<n>.bin, the file of that name: bytes of records that
// nobody was told were durable.
Result<void> PutSegmentAside(Io& io, int dir, uint64_t first_seq);
// The first seq in a segment's name; false where `name` is none.
bool ParseSegmentName(std::string_view name, uint64_t* first_seq);

// The frame of a record and its openings (empty: none), as bytes.
cbor::Bytes MakeFrame(std::span<const uint8_t> record, std::span<const uint8_t> openings);

// What somebody else did to the file while it was open.
enum class Touched : uint8_t {
  kNo,
  kNameGone,  // removed or replaced: the records are only in the open file
  kGrown,     // appended to, or given another name: the records are all there
  kCut,       // truncated: records are lost
};

class Segment {
 public:
  // Makes a new file and reserves `limit` bytes, or as much of it as the file system has left, at
  // least kLeastReserve. The name is durable only after Publish().
  // `least`: with less space than this it is not worth beginning.
  static Result<Segment> Create(Io& io, int dir, uint64_t first_seq, uint64_t limit,
                                uint64_t least = kLeastReserve);
  // Goes on at the end of a file that recovery found whole up to `size`.
  static Result<Segment> Continue(Io& io, int dir, uint64_t first_seq, uint64_t size,
                                  uint64_t limit);

  // Appends and makes durable. Fails without writing where the file is no longer the one that was
  // opened (inode, link count, size): somebody else works on it.
  Result<void> Write(std::span<const cbor::Bytes> frames);
  // fsync of the directory, then chattr +a where that is possible.
  Result<void> Publish();
  // What is durable, read back from the open file, also when its name is gone.
  Result<cbor::Bytes> ReadBack() const;
  // How many bytes somebody else put behind it, at most a segment's worth.
  Result<uint64_t> HashBehind(Sha256Stream* hash) const;
  // Gives reserved space that will not be used any more back to the file system, where it can.
  void ReleaseSpare();

  uint64_t first_seq() const { return first_seq_; }
  uint64_t size() const { return size_; }    // bytes that are durable
  uint64_t limit() const { return limit_; }  // bytes that may be used; reserved where possible
  bool failed() const { return failed_; }    // sticky
  Touched touched() const { return touched_; }
  uint64_t attempted() const { return attempted_; }  // bytes of the write that failed
  bool append_only() const { return append_only_; }

 private:
  Segment(Io& io, int dir, uint64_t first_seq, UniqueFd fd)
      : io_(&io), dir_(dir), first_seq_(first_seq), fd_(std::move(fd)) {}
  Result<void> Reserve(uint64_t limit, uint64_t least);
  Result<void> CheckFile();
  Result<void> SayTouched(Touched touched, const char* what);

  Io* io_;
  int dir_;  // the log folder, not owned
  uint64_t first_seq_;
  UniqueFd fd_;
  ino_t inode_ = 0;
  uint64_t size_ = 0;
  uint64_t limit_ = 0;
  uint64_t attempted_ = 0;
  bool failed_ = false;
  Touched touched_ = Touched::kNo;
  bool append_only_ = false;
};

}  // namespace krux::audit
