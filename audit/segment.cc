#include "audit/segment.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>

#include "audit/frame.h"

namespace krux::audit {

std::string SegmentName(uint64_t first_seq) {
  char name[40];
  std::snprintf(name, sizeof name, "seg-%020llu.klog", static_cast<unsigned long long>(first_seq));
  return name;
}

bool ParseSegmentName(std::string_view name, uint64_t* first_seq) {
  constexpr std::string_view kPrefix = "seg-";
  constexpr std::string_view kSuffix = ".klog";
  if (name.size() != 29 || !name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return false;
  const std::string_view digits = name.substr(4, 20);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + 20, *first_seq);
  return error == std::errc() && end == digits.data() + 20;
}

cbor::Bytes MakeFrame(std::span<const uint8_t> record, std::span<const uint8_t> openings) {
  uint8_t head[KRUX_FRAME_HEAD];
  uint8_t middle[KRUX_FRAME_MIDDLE];
  const size_t middle_size =
      krux_frame_heads(record.data(), record.size(), openings.empty() ? nullptr : openings.data(),
                       openings.size(), head, middle);
  cbor::Bytes frame;
  frame.reserve(sizeof head + record.size() + middle_size + openings.size());
  frame.insert(frame.end(), head, head + sizeof head);
  frame.insert(frame.end(), record.begin(), record.end());
  frame.insert(frame.end(), middle, middle + middle_size);
  frame.insert(frame.end(), openings.begin(), openings.end());
  return frame;
}

Result<Segment> Segment::Create(Io& io, int dir, uint64_t first_seq, uint64_t limit,
                                uint64_t least) {
  const std::string name = SegmentName(first_seq);
  constexpr int kFlags = O_RDWR | O_APPEND | O_CREAT | O_EXCL;
  int opened = io.OpenAt(dir, name.c_str(), kFlags, 0640);
  if (opened == -EEXIST) {
    // Left by an attempt that could not even be taken back, on a disk that refused everything.
    KRUX_TRY(PutSegmentAside(io, dir, first_seq));
    opened = io.OpenAt(dir, name.c_str(), kFlags, 0640);
  }
  if (opened < 0) return SysError(ExitCode::kAudit, "create `" + name + "`", -opened);
  Segment segment(io, dir, first_seq, UniqueFd(opened));
  Result<void> ready = segment.Reserve(limit, least);
  if (ready) ready = segment.CheckFile();
  if (!ready) {
    io.Unlink(dir, name.c_str());
    return std::unexpected(ready.error());
  }
  return segment;
}

Result<Segment> Segment::Continue(Io& io, int dir, uint64_t first_seq, uint64_t size,
                                  uint64_t limit) {
  const std::string name = SegmentName(first_seq);
  UniqueFd fd(io.OpenAt(dir, name.c_str(), O_RDWR | O_APPEND, 0));
  if (fd.get() < 0) return SysError(ExitCode::kAudit, "open `" + name + "`", -fd.release());
  Segment segment(io, dir, first_seq, std::move(fd));
  segment.size_ = size;
  KRUX_TRY(segment.CheckFile());
  segment.append_only_ = io.SetAppendOnly(segment.fd_.get(), true) == 0;
  KRUX_TRY(segment.Reserve(limit, kLeastReserve));
  return segment;
}

// Space that is reserved now cannot run out when a running call has to be closed. Half of what is
// free at most: others need some, and the segment after this one does.
Result<void> Segment::Reserve(uint64_t limit, uint64_t least) {
  least = std::min(limit, size_ + least);
  uint64_t bytes = limit;
  uint64_t free = 0;
  struct stat st;
  if (io_->FreeBytes(fd_.get(), &free) == 0 && io_->Fstat(fd_.get(), &st) == 0) {
    const uint64_t held = static_cast<uint64_t>(st.st_blocks) * 512;
    bytes = std::clamp(held + free / 2, least, limit);
  }
  for (;;) {
    const int e = io_->Reserve(fd_.get(), bytes);
    if (e == -EINTR) continue;
    if (e == 0 || e == -EOPNOTSUPP) {  // a file system without fallocate(2): nothing is promised
      limit_ = bytes;
      return {};
    }
    // ext4 keeps what it found before it ran out of space: everything that was left.
    ReleaseSpare();
    if ((e != -ENOSPC && e != -EDQUOT) || bytes == least) {
      return SysError(ExitCode::kAudit, "reserve space for the log", -e,
                      "free some space; calls go on by themselves");
    }
    bytes = std::max(bytes / 2, least);
  }
}

void Segment::ReleaseSpare() {
  struct stat st;
  if (io_->Fstat(fd_.get(), &st) != 0) return;
  // An append-only file refuses ftruncate(2), also to its own size.
  const bool append_only = append_only_ && io_->SetAppendOnly(fd_.get(), false) == 0;
  (void)io_->Truncate(fd_.get(), static_cast<uint64_t>(st.st_size));
  if (append_only) (void)io_->SetAppendOnly(fd_.get(), true);
}

Result<void> Segment::SayTouched(Touched touched, const char* what) {
  touched_ = touched;
  failed_ = true;
  return Fail(ExitCode::kAudit, "changed",
              "`" + SegmentName(first_seq_) + "` was " + what +
                  " by somebody else; run `krux audit verify`");
}

Result<void> Segment::CheckFile() {
  struct stat opened, named;
  const std::string name = SegmentName(first_seq_);
  if (const int e = io_->Fstat(fd_.get(), &opened); e < 0)
    return SysError(ExitCode::kAudit, "stat `" + name + "`", -e);
  if (inode_ == 0) inode_ = opened.st_ino;
  const auto size = static_cast<uint64_t>(opened.st_size);
  if (!S_ISREG(opened.st_mode) || opened.st_ino != inode_ || size < size_)
    return SayTouched(Touched::kCut, "cut");
  const int e = io_->StatAt(dir_, name.c_str(), &named);
  if (e == -ENOENT) return SayTouched(Touched::kNameGone, "removed");
  if (e < 0) return SysError(ExitCode::kAudit, "stat `" + name + "`", -e);
  if (named.st_ino != inode_ || named.st_dev != opened.st_dev)
    return SayTouched(Touched::kNameGone, "replaced");
  if (opened.st_nlink != 1) return SayTouched(Touched::kGrown, "given a second name");
  if (size > size_) return SayTouched(Touched::kGrown, "appended to");
  return {};
}

Result<cbor::Bytes> Segment::ReadBack() const {
  cbor::Bytes bytes(size_);
  for (size_t got = 0; got < bytes.size();) {
    const ssize_t n = io_->Pread(fd_.get(), bytes.data() + got, bytes.size() - got, got);
    if (n == -EINTR) continue;
    if (n < 0) return SysError(ExitCode::kAudit, "read", static_cast<int>(-n));
    if (n == 0) return Fail(ExitCode::kAudit, "read", "the file is shorter than what was written");
    got += static_cast<size_t>(n);
  }
  return bytes;
}

Result<uint64_t> Segment::HashBehind(Sha256Stream* hash) const {
  cbor::Bytes chunk(64 * 1024);
  uint64_t behind = 0;
  while (behind <= kSegmentBytes) {
    const ssize_t n = io_->Pread(fd_.get(), chunk.data(), chunk.size(), size_ + behind);
    if (n == -EINTR) continue;
    if (n < 0) return SysError(ExitCode::kAudit, "read", static_cast<int>(-n));
    if (n == 0) return behind;
    hash->Update(std::span(chunk).first(static_cast<size_t>(n)));
    behind += static_cast<uint64_t>(n);
  }
  return Fail(ExitCode::kAudit, "read",
              "somebody else appends to `" + SegmentName(first_seq_) + "` without end");
}

Result<void> Segment::Write(std::span<const cbor::Bytes> frames) {
  if (failed_) return Fail(ExitCode::kAudit, "write", "the segment failed before");
  KRUX_TRY(CheckFile());
  std::vector<iovec> parts;
  attempted_ = 0;
  for (const cbor::Bytes& frame : frames) {
    parts.push_back({const_cast<uint8_t*>(frame.data()), frame.size()});
    attempted_ += frame.size();
  }
  uint64_t written = 0;
  const Result<void> result = WriteAll(*io_, fd_.get(), parts, &written);
  if (!result) {
    // With no byte written the file is what it was, and may be used again when the disk takes it.
    const int e = result.error().sys_errno;
    failed_ = written > 0 || (e != ENOSPC && e != EDQUOT && e != EROFS);
    return result;
  }
  if (const int e = io_->Fdatasync(fd_.get()); e < 0) {
    failed_ = true;
    return SysError(ExitCode::kAudit, "fdatasync", -e);
  }
  size_ += written;
  return {};
}

Result<void> Segment::Publish() {
  if (const int e = io_->Fsync(dir_); e < 0) {
    failed_ = true;
    return SysError(ExitCode::kAudit, "fsync log folder", -e);
  }
  append_only_ = io_->SetAppendOnly(fd_.get(), true) == 0;
  return {};
}

Result<void> PutSegmentAside(Io& io, int dir, uint64_t first_seq) {
  const std::string name = SegmentName(first_seq);
  struct stat st;
  if (const int e = io.StatAt(dir, name.c_str(), &st); e < 0)
    return SysError(ExitCode::kAudit, "stat `" + name + "`", -e);
  if (st.st_size == 0) {
    if (const int e = io.Unlink(dir, name.c_str()); e < 0) {
      return SysError(ExitCode::kAudit, "remove `" + name + "`", -e);
    }
    return {};
  }
  for (int n = 0; n < 1000; ++n) {
    char aside[64];
    std::snprintf(aside, sizeof aside, "torn-%020llu-0.%d.bin",
                  static_cast<unsigned long long>(first_seq), n);
    const int e = io.Rename(dir, name.c_str(), aside);
    if (e == 0) return {};
    if (e != -EEXIST) return SysError(ExitCode::kAudit, "keep `" + name + "` aside", -e);
  }
  return Fail(ExitCode::kAudit, "keep segment aside", "there are too many torn files already");
}

}  // namespace krux::audit
