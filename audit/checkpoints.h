// The signed checkpoints of a log: fixed entries of 128 bytes in the file `checkpoints` of the log
// folder, a CBOR sequence of [1, log-id, size, head, signature] (docs/AUDIT_FORMAT.md §7). What is
// signed is "krux-checkpoint-v1", a zero byte, and the first 62 bytes of the entry.
//
//   Checkpoints file = KRUX_TRY(Checkpoints::Open(io, dir, log_id));
//   KRUX_TRY(file.Append(key, size, head));
#pragma once

#include <optional>

#include "audit/io.h"
#include "audit/segment.h"
#include "audit/signing_key.h"

namespace krux::audit {

struct SignedHead {
  uint64_t size = 0;  // records 0 … size - 1 are signed
  cbor::Bytes head;   // leaf hash of record size - 1
};

class Checkpoints {
 public:
  static constexpr size_t kEntryBytes = 128;
  static constexpr size_t kSignedBytes = 62;
  static constexpr std::string_view kName = "checkpoints";

  // Opens or makes the file. A torn last entry is cut off; anything else that is not an entry of
  // this log is an error.
  static Result<Checkpoints> Open(Io& io, int dir, cbor::Bytes log_id);
  const std::optional<SignedHead>& last() const { return last_; }
  // Whether the last entry was signed with `key`.
  bool LastSignedBy(const SigningKey& key) const;
  // Signs, appends, fdatasyncs. A full disk is an error that may pass; after any other error the
  // file must be opened again.
  Result<void> Append(const SigningKey& key, uint64_t size, const cbor::Bytes& head);
  bool failed() const { return failed_; }
  // After an error: a new descriptor, what was not acknowledged cut off.
  Result<void> Reopen();
  // Whether the file is still the one that was opened, with what was written to it.
  Result<Touched> Check() const;
  // Every entry, read back from the open file, also when its name is gone.
  Result<cbor::Bytes> ReadBack() const;

 private:
  Checkpoints(Io& io, int dir, UniqueFd fd, cbor::Bytes log_id)
      : io_(&io), dir_(dir), fd_(std::move(fd)), log_id_(std::move(log_id)) {}
  Result<void> Load();
  Result<void> CheckReadBack(std::span<const uint8_t> bytes) const;

  Io* io_;
  int dir_;  // the log folder, not owned
  UniqueFd fd_;
  cbor::Bytes log_id_;
  uint64_t file_size_ = 0;
  std::optional<SignedHead> last_;
  cbor::Bytes last_entry_;
  bool failed_ = false;
};

}  // namespace krux::audit
