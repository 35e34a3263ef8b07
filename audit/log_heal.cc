// What the log does when somebody else works in its folder, or when a disk error has passed. The
// rule: where everything that was acknowledged is still there it goes on and the log says so;
// where records are lost it signs what it wrote, so that the loss can be proved, and stays closed.
#include <fcntl.h>

#include <cerrno>

#include "audit/frame.h"
#include "audit/hash.h"
#include "audit/log.h"
#include "base/digest.h"

namespace krux::audit {

std::unexpected<Error> Log::Close(std::string why) {
  // Our own head, from memory: a log that holds less can never pass for whole again.
  if (!checkpoints_->failed()) (void)checkpoints_->Append(*key_, next_seq_, head_);
  closed_ = std::move(why);
  return Fail(ExitCode::kAudit, "audit", "the log is closed: " + closed_);
}

// Not sticky: a folder that is brought back is the log again.
Result<void> Log::CheckFolder() {
  struct stat opened, named;
  const std::string name = ToHex(log_id_);
  if (options_.io->Fstat(log_dir_.get(), &opened) == 0 &&
      options_.io->StatAt(dir_.get(), name.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
      opened.st_dev == named.st_dev) {
    return {};
  }
  return Fail(ExitCode::kAudit, "audit",
              "the log cannot be written: its folder `" + name +
                  "` was moved away; bring it back, calls go on by themselves");
}

Result<void> Log::ReadyCheckpoints() {
  if (checkpoints_->failed()) {
    if (const Result<void> opened = checkpoints_->Reopen(); !opened) {
      return Fail(ExitCode::kAudit, "audit", "the log cannot be signed: " + opened.error().message);
    }
  }
  switch (KRUX_TRY(checkpoints_->Check())) {
    case Touched::kNo:
      return {};
    case Touched::kNameGone:
      break;
    case Touched::kGrown:
      closed_ = "`checkpoints` was appended to by somebody else; run `krux audit verify`";
      return Fail(ExitCode::kAudit, "audit", "the log is closed: " + closed_);
    case Touched::kCut:
      closed_ = "`checkpoints` was cut by somebody else; run `krux audit verify`";
      return Fail(ExitCode::kAudit, "audit", "the log is closed: " + closed_);
  }
  const Result<cbor::Bytes> bytes = checkpoints_->ReadBack();
  if (!bytes) return std::unexpected(bytes.error());
  KRUX_TRY(PutBack(std::string(Checkpoints::kName), *bytes));
  KRUX_TRY(checkpoints_->Reopen());
  put_back_ = true;
  return {};
}

Result<void> Log::SayPutBack() {
  Batch batch = Begin();
  const Draft draft =
      AdminDraft("checkpoints put back", cbor::Map{{"cause", "removed or replaced"}});
  KRUX_TRY(Add(draft, *segment_, &batch));
  KRUX_TRY(Commit(&batch));
  put_back_ = false;
  return {};
}

// The bytes of the segment must be the very records that were acknowledged.
Result<void> Log::CheckReadBack(std::span<const uint8_t> bytes) const {
  cbor::Bytes leaf;
  uint64_t seq = segment_->first_seq();
  while (!bytes.empty()) {
    krux_frame frame;
    if (krux_frame_parse(bytes.data(), bytes.size(), &frame) != KRUX_FRAME_OK) break;
    leaf = LeafHash({frame.record, frame.record_size});
    bytes = bytes.subspan(frame.size);
    seq += 1;
  }
  if (bytes.empty() && seq == next_seq_ && leaf == head_) return {};
  return Fail(ExitCode::kAudit, "read", "its records are not the ones that were written");
}

// A file under `name` again. What stands there now is kept: it is evidence.
Result<void> Log::PutBack(const std::string& name, std::span<const uint8_t> bytes) {
  Io& io = *options_.io;
  for (int n = 0;; ++n) {
    const std::string aside = "foreign-" + name + "." + std::to_string(n);
    const int e = io.Rename(log_dir_.get(), name.c_str(), aside.c_str());
    if (e == 0 || e == -ENOENT) break;
    if (e != -EEXIST || n == 1000)
      return SysError(ExitCode::kAudit, "keep the foreign `" + name + "` aside", -e);
  }
  return WriteFileDurably(io, log_dir_.get(), name, 0640, bytes);
}

Result<void> Log::SaveTouched() {
  if (touched_is_saved_) return {};
  const std::string name = SegmentName(segment_->first_seq());
  if (segment_->touched() == Touched::kCut) {
    return Close("`" + name + "` was cut by somebody else and records are lost; run `krux audit " +
                 "verify`, keep the folder, and move it away to start a new log");
  }
  const cbor::Bytes bytes = KRUX_TRY(segment_->ReadBack());
  if (!CheckReadBack(bytes)) {
    return Close("`" + name + "` was changed by somebody else and records are lost; run `krux " +
                 "audit verify`, keep the folder, and move it away to start a new log");
  }
  uint64_t behind = 0;
  Sha256Stream hash;
  if (segment_->touched() == Touched::kNameGone) {
    KRUX_TRY(PutBack(name, bytes));
  } else {
    behind = KRUX_TRY(segment_->HashBehind(&hash));
  }
  SetGap({ExitCode::kAudit, 0, "changed", {}}, behind, hash.Finish());
  touched_is_saved_ = true;
  return {};
}

}  // namespace krux::audit
