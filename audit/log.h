// Log: one audit log on disk, from open to close. It chains records, groups them into one write and
// one fdatasync, keeps space for the outcome of every intent it admits, signs checkpoints, and
// after an I/O error goes on in a new segment with a `gap` record, as soon as the disk takes one.
// It stays closed only where records are lost that were acknowledged.
//
//   auto log = KRUX_TRY(Log::Open({.dir = "/var/lib/krux/audit", .public_key =
//   "/etc/krux/audit.pub"})); std::vector<Appended> done = log->Append(drafts);   // done[i].error
//   empty = durable uint64_t size = KRUX_TRY(log->Checkpoint());
//
// Folder: <dir>/lock, <dir>/audit.key (0600), <dir>/policies/, <dir>/<log-id in hex>/{seg-*.klog,
// checkpoints, torn-*.bin}. Only one process can have it open (an open file description lock).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "audit/carry.h"
#include "audit/checkpoints.h"
#include "audit/record.h"
#include "audit/recovery.h"
#include "audit/segment.h"
#include "audit/signing_key.h"
#include "base/clock.h"

namespace krux::audit {

struct LogOptions {
  std::string dir;         // made 0700 if it does not exist; must belong to the caller
  std::string public_key;  // PEM; written at first start, compared at every other
  uint64_t segment_bytes = kSegmentBytes;
  uint64_t checkpoint_every = 256;  // records
  uint64_t lock_wait_ms = 0;        // for a writer that is ending
  std::string build = "krux " KRUX_VERSION;
  Io* io = &SystemIo();
  Clock* clock = &SystemClock();
  Random* random = &SystemRandom();
};

struct Appended {
  uint64_t seq = 0;
  std::string error;  // not empty: the record is not in the log
};

class Log {
 public:
  // Error code kAudit with a sentence for the operator where the log is locked, damaged, shorter
  // than what is signed, or its key is missing.
  static Result<std::unique_ptr<Log>> Open(LogOptions options);

  // Appends every draft, in order, durably. A draft that is refused leaves the others alone.
  std::vector<Appended> Append(std::span<const Draft> drafts);
  // Signs everything that is durable. Returns the signed size in records.
  Result<uint64_t> Checkpoint();
  Result<void> StorePolicy(std::span<const uint8_t> text);
  // The text that StorePolicy() was given; kNotFound where there is none of that hash.
  Result<cbor::Bytes> FindPolicy(const cbor::Bytes& hash) const;

  // What every record until now leaves behind.
  const Carry& carry() const { return carry_; }
  const cbor::Bytes& log_id() const { return log_id_; }
  uint64_t size() const { return next_seq_; }  // durable records
  uint64_t signed_size() const;
  size_t open_intents() const { return open_.size(); }

 private:
  // What one write would add; it becomes the state only once it is durable.
  struct Batch {
    std::vector<cbor::Bytes> frames;
    uint64_t bytes = 0;
    uint64_t next_seq = 0;
    cbor::Bytes head;
    std::map<uint64_t, cbor::Bytes> open;
    // Of drafts that live until the batch is settled: what they mean for the carry.
    std::vector<std::pair<uint64_t, const Draft*>> carried;
    std::vector<size_t> members;  // indices of the results it decides
  };
  // The state of one Append(): what is still to be done, and why it is not.
  struct Job {
    std::vector<Appended> results;
    std::vector<bool> pending;
    std::string error;
  };

  explicit Log(LogOptions options) : options_(std::move(options)) {}
  // Steps of Open(), log_open.cc.
  Result<void> OpenFolder();
  Result<void> OpenLogFolder();
  Result<void> OpenKey();
  Result<void> OpenSegment(const LogState& state);

  Batch Begin() const;
  // kBusy where the record needs a segment with more room.
  Result<void> Add(const Draft& draft, const Segment& segment, Batch* batch) const;
  // Writes the batch and makes it the state.
  Result<void> Commit(Batch* batch);
  void Adopt(Batch* batch);
  Result<void> Ready();
  void Try(std::span<const Draft> drafts, Job* job);
  bool Settle(Batch* batch, Job* job);
  // A new segment with its segment record, what is carried, and then `first`, in one write.
  // INVARIANT: what is carried stands before everything else, so a segment that holds anything else
  // holds all of it.
  Result<void> StartSegment(const std::vector<Draft>& first);
  void SetGap(const Error& error, uint64_t bytes, cbor::Bytes sha256);
  // What is done when somebody else works in the folder or a disk error passes, log_heal.cc.
  Result<void> CheckFolder();
  Result<void> ReadyCheckpoints();
  Result<void> SaveTouched();
  Result<void> SayPutBack();
  Result<void> CheckReadBack(std::span<const uint8_t> bytes) const;
  Result<void> PutBack(const std::string& name, std::span<const uint8_t> bytes);
  std::unexpected<Error> Close(std::string why);
  Draft SegmentDraft() const;

  LogOptions options_;
  UniqueFd dir_;
  UniqueFd lock_;
  UniqueFd log_dir_;
  cbor::Bytes log_id_;      // 16 bytes
  cbor::Bytes boot_nonce_;  // 8 bytes, of this start of the daemon
  std::unique_ptr<SigningKey> key_;
  std::unique_ptr<Checkpoints> checkpoints_;
  std::unique_ptr<Segment> segment_;
  uint64_t next_seq_ = 0;
  cbor::Bytes head_;                      // leaf hash of record next_seq_ - 1
  std::map<uint64_t, cbor::Bytes> open_;  // intents without outcome: seq → call id
  Carry carry_;
  Draft gap_;                      // what the segment that replaces a failed one says first
  bool touched_is_saved_ = false;  // gap_ says it already
  bool put_back_ = false;          // `checkpoints` was, and the log does not say so yet
  std::string closed_;             // not empty: closed until a restart, and why
};

}  // namespace krux::audit
