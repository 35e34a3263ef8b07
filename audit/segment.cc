#include "audit/segment.h"

#include <fcntl.h>

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

Result<Segment> Segment::Create(Io& io, int dir, uint64_t first_seq, uint64_t limit) {
  const std::string name = SegmentName(first_seq);
  UniqueFd fd(io.OpenAt(dir, name.c_str(), O_RDWR | O_APPEND | O_CREAT | O_EXCL, 0640));
  if (fd.get() < 0) return SysError(ExitCode::kAudit, "create `" + name + "`", -fd.release());
  Segment segment(io, dir, first_seq, std::move(fd));
  Result<void> ready = segment.Reserve(limit);
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
  KRUX_TRY(segment.Reserve(limit));
  KRUX_TRY(segment.CheckFile());
  segment.append_only_ = io.SetAppendOnly(segment.fd_.get(), true) == 0;
  return segment;
}

// Space that is reserved now cannot run out when a running call has to be closed.
Result<void> Segment::Reserve(uint64_t limit) {
  for (uint64_t bytes = limit;; bytes /= 2) {
    const int e = io_->Reserve(fd_.get(), bytes);
    if (e == -EINTR) {
      bytes *= 2;
      continue;
    }
    if (e == 0 || e == -EOPNOTSUPP) {  // a file system without fallocate(2): nothing is promised
      limit_ = bytes;
      return {};
    }
    if ((e != -ENOSPC && e != -EDQUOT) || bytes / 2 < std::min(limit, size_ + kLeastReserve)) {
      return SysError(ExitCode::kAudit, "reserve space for the log", -e,
                      "free some space; calls go on by themselves");
    }
  }
}

Result<void> Segment::CheckFile() {
  struct stat opened, named;
  const std::string name = SegmentName(first_seq_);
  const int e1 = io_->Fstat(fd_.get(), &opened);
  const int e2 = io_->StatAt(dir_, name.c_str(), &named);
  if (e1 == 0 && inode_ == 0) inode_ = opened.st_ino;
  if (e1 == 0 && e2 == 0 && S_ISREG(opened.st_mode) && opened.st_nlink == 1 &&
      opened.st_ino == inode_ && named.st_ino == inode_ && named.st_dev == opened.st_dev &&
      static_cast<uint64_t>(opened.st_size) == size_) {
    return {};
  }
  foreign_ = failed_ = true;
  return Fail(
      ExitCode::kAudit, "log file",
      "`" + name + "` was removed, replaced or changed by somebody else; run `krux audit verify`");
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
    // With no byte written the file is what it was, and may be used again when there is space.
    failed_ =
        written > 0 || (result.error().sys_errno != ENOSPC && result.error().sys_errno != EDQUOT);
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

Result<void> Segment::Abandon() {
  const std::string name = SegmentName(first_seq_);
  struct stat st;
  if (const int e = io_->Fstat(fd_.get(), &st); e < 0)
    return SysError(ExitCode::kAudit, "stat", -e);
  if (st.st_size == 0) {
    if (const int e = io_->Unlink(dir_, name.c_str()); e < 0) {
      return SysError(ExitCode::kAudit, "remove `" + name + "`", -e);
    }
    return {};
  }
  // Kept, not deleted: these are bytes of records that nobody was told were durable.
  for (int n = 0; n < 1000; ++n) {
    char aside[64];
    std::snprintf(aside, sizeof aside, "torn-%020llu-0.%d.bin",
                  static_cast<unsigned long long>(first_seq_), n);
    const int e = io_->Rename(dir_, name.c_str(), aside);
    if (e == 0) return {};
    if (e != -EEXIST) return SysError(ExitCode::kAudit, "keep `" + name + "` aside", -e);
  }
  return Fail(ExitCode::kAudit, "keep segment aside", "there are too many torn files already");
}

}  // namespace krux::audit
