#include "audit/checkpoints.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "audit/hash.h"
#include "base/cbor.h"

namespace krux::audit {
namespace {

constexpr uint64_t kMaxFile = 1ull << 30;      // 8 million checkpoints
constexpr uint64_t kReserveAhead = 64 * 1024;  // so that a full disk does not stop signing at once

cbor::Bytes BigEndian(uint64_t n) {
  cbor::Bytes out(8);
  for (int i = 0; i < 8; ++i) out[i] = static_cast<uint8_t>(n >> (56 - 8 * i));
  return out;
}

// The part of an entry before the signature: 85 01 50 log-id 48 size 58 20 head.
cbor::Bytes SignedPart(const cbor::Bytes& log_id, uint64_t size, const cbor::Bytes& head) {
  cbor::Bytes out(Checkpoints::kSignedBytes);
  krux_cbor_writer w = krux_cbor_writer_at(out.data(), out.size());
  const cbor::Bytes size_bytes = BigEndian(size);
  krux_cbor_put_array(&w, 5);
  krux_cbor_put_uint(&w, 1);
  krux_cbor_put_bytes(&w, log_id.data(), log_id.size());
  krux_cbor_put_bytes(&w, size_bytes.data(), size_bytes.size());
  krux_cbor_put_bytes(&w, head.data(), head.size());
  return out;
}

cbor::Bytes SignedMessage(std::span<const uint8_t> signed_part) {
  constexpr std::string_view kContext("krux-checkpoint-v1\0", 19);
  cbor::Bytes message(kContext.size() + signed_part.size());
  std::ranges::copy(kContext, message.begin());
  std::ranges::copy(signed_part, message.begin() + kContext.size());
  return message;
}

Result<SignedHead> ParseEntry(std::span<const uint8_t> entry, const cbor::Bytes& log_id) {
  const cbor::Value value = KRUX_TRY(cbor::Decode(entry));
  const cbor::Array* a = value.array();
  if (a == nullptr || a->size() != 5 || (*a)[0] != cbor::Value(1u) ||
      (*a)[1] != cbor::Value(log_id) || (*a)[2].bytes() == nullptr ||
      (*a)[2].bytes()->size() != 8 || (*a)[3].bytes() == nullptr ||
      (*a)[3].bytes()->size() != kHashBytes || (*a)[4].bytes() == nullptr) {
    return Fail(ExitCode::kAudit, "checkpoints", "not an entry of this log");
  }
  SignedHead head{0, *(*a)[3].bytes()};
  for (uint8_t byte : *(*a)[2].bytes()) head.size = head.size << 8 | byte;
  return head;
}

}  // namespace

Result<Checkpoints> Checkpoints::Open(Io& io, int dir, cbor::Bytes log_id) {
  UniqueFd fd(io.OpenAt(dir, kName.data(), O_RDWR | O_APPEND | O_CREAT, 0640));
  if (fd.get() < 0) return SysError(ExitCode::kAudit, "open `checkpoints`", -fd.release());
  Checkpoints file(io, dir, std::move(fd), std::move(log_id));
  KRUX_TRY(file.Load());
  // The name must last as long as what is signed in it.
  if (const int e = io.Fsync(dir); e < 0) return SysError(ExitCode::kAudit, "fsync log folder", -e);
  return file;
}

Result<void> Checkpoints::Load() {
  const cbor::Bytes bytes = KRUX_TRY(ReadWhole(*io_, fd_.get(), kMaxFile));
  const size_t torn = bytes.size() % kEntryBytes;
  file_size_ = bytes.size() - torn;
  for (size_t at = 0; at < file_size_; at += kEntryBytes) {
    const std::span<const uint8_t> entry = std::span(bytes).subspan(at, kEntryBytes);
    Result<SignedHead> head = ParseEntry(entry, log_id_);
    if (!head || (last_ && head->size <= last_->size)) {
      return Fail(
          ExitCode::kAudit, "checkpoints",
          "`checkpoints` is damaged at byte " + std::to_string(at) +
              "; run `krux audit verify`, keep the folder, and move it away to start a new log");
    }
    last_ = std::move(*head);
    last_entry_.assign(entry.begin(), entry.end());
  }
  if (torn == 0) return {};
  // A signature whose write was cut off promised nothing to anybody.
  if (const int e = io_->Truncate(fd_.get(), file_size_); e < 0) {
    return SysError(ExitCode::kAudit, "cut the torn last entry of `checkpoints`", -e);
  }
  return {};
}

Result<Touched> Checkpoints::Check() const {
  struct stat opened, named;
  if (const int e = io_->Fstat(fd_.get(), &opened); e < 0)
    return SysError(ExitCode::kAudit, "stat `checkpoints`", -e);
  const auto size = static_cast<uint64_t>(opened.st_size);
  if (size < file_size_) return Touched::kCut;
  const int e = io_->StatAt(dir_, kName.data(), &named);
  if (e < 0 && e != -ENOENT) return SysError(ExitCode::kAudit, "stat `checkpoints`", -e);
  if (e == -ENOENT || named.st_ino != opened.st_ino || named.st_dev != opened.st_dev)
    return Touched::kNameGone;
  return size > file_size_ || opened.st_nlink != 1 ? Touched::kGrown : Touched::kNo;
}

Result<cbor::Bytes> Checkpoints::ReadBack() const {
  cbor::Bytes bytes = KRUX_TRY(ReadWhole(*io_, fd_.get(), kMaxFile));
  if (bytes.size() > file_size_) bytes.resize(file_size_);
  KRUX_TRY(CheckReadBack(bytes));
  return bytes;
}

Result<void> Checkpoints::CheckReadBack(std::span<const uint8_t> bytes) const {
  const bool whole = bytes.size() == file_size_ && file_size_ >= last_entry_.size();
  if (whole && std::ranges::equal(bytes.last(last_entry_.size()), last_entry_)) return {};
  return Fail(ExitCode::kAudit, "checkpoints", "`checkpoints` is not what was written to it");
}

Result<void> Checkpoints::Reopen() {
  UniqueFd fd(io_->OpenAt(dir_, kName.data(), O_RDWR | O_APPEND, 0));
  if (fd.get() < 0) return SysError(ExitCode::kAudit, "open `checkpoints`", -fd.release());
  cbor::Bytes bytes = KRUX_TRY(ReadWhole(*io_, fd.get(), kMaxFile));
  const bool longer = bytes.size() > file_size_;
  if (longer) bytes.resize(file_size_);
  KRUX_TRY(CheckReadBack(bytes));
  // What a failed append left is ours and promised nothing to anybody.
  if (const int e = longer ? io_->Truncate(fd.get(), file_size_) : 0; e < 0)
    return SysError(ExitCode::kAudit, "cut `checkpoints`", -e);
  fd_ = std::move(fd);
  failed_ = false;
  return {};
}

bool Checkpoints::LastSignedBy(const SigningKey& key) const {
  if (last_entry_.size() != kEntryBytes) return false;
  const std::span<const uint8_t> entry(last_entry_);
  return key.Verify(SignedMessage(entry.first(kSignedBytes)), entry.last(kSignatureBytes));
}

Result<void> Checkpoints::Append(const SigningKey& key, uint64_t size, const cbor::Bytes& head) {
  if (failed_) return Fail(ExitCode::kAudit, "checkpoint", "`checkpoints` failed before");
  if (last_ && last_->size == size) return {};
  cbor::Bytes entry = SignedPart(log_id_, size, head);
  const cbor::Bytes signature = KRUX_TRY(key.Sign(SignedMessage(entry)));
  entry.insert(entry.end(), {0x58, kSignatureBytes});
  entry.insert(entry.end(), signature.begin(), signature.end());

  // KEEP_SIZE over what is reserved already changes nothing.
  if (file_size_ % kReserveAhead == 0) (void)io_->Reserve(fd_.get(), file_size_ + kReserveAhead);
  iovec part{entry.data(), entry.size()};
  uint64_t written = 0;
  const Result<void> result = WriteAll(*io_, fd_.get(), std::span(&part, 1), &written);
  if (!result) {
    const int e = result.error().sys_errno;
    const bool full = e == ENOSPC || e == EDQUOT || e == EROFS;
    const bool aligned = written == 0 || io_->Truncate(fd_.get(), file_size_) == 0;
    failed_ = !full || !aligned;
    return result;
  }
  if (const int e = io_->Fdatasync(fd_.get()); e < 0) {
    failed_ = true;
    return SysError(ExitCode::kAudit, "fdatasync of `checkpoints`", -e);
  }
  file_size_ += written;
  last_ = SignedHead{size, head};
  last_entry_ = std::move(entry);
  return {};
}

}  // namespace krux::audit
