#include "audit/log.h"

#include <algorithm>

#include "audit/frame.h"
#include "audit/hash.h"
#include "audit/policy_store.h"
#include "audit/schema.h"
#include "base/channel.h"
#include "base/digest.h"

namespace krux::audit {
namespace {

// Room that is kept for the outcome of every open intent: one packet, what krux-auditd adds to it,
// and its frame. Add() refuses an outcome that would need more.
constexpr uint64_t kCredit = 65 * 1024;
constexpr uint64_t kAdded = 256;  // format, seq, prev, clocks, boot
static_assert(kMaxPacket + kAdded + KRUX_FRAME_HEAD + KRUX_FRAME_MIDDLE <= kCredit);

std::unexpected<Error> NeedsRoom() {
  return Fail(ExitCode::kBusy, "audit",
              "too many calls are open for one segment of the log; retry");
}

bool Fits(const Segment& segment, uint64_t pending_bytes, uint64_t frame_bytes, size_t open,
          Kind kind) {
  const uint64_t used = segment.size() + pending_bytes + frame_bytes;
  // One more credit stays free for krux's own records (gap, seal).
  uint64_t kept = (open + 1) * kCredit;
  if (kind == Kind::kIntent) kept += kCredit;
  if (kind == Kind::kOutcome || kind == Kind::kRecovered) kept = 0;  // this is what was kept
  return used + kept <= segment.limit();
}

// An outcome closes exactly one open intent of the same call.
Result<void> CheckOutcome(const Draft& draft, const std::map<uint64_t, cbor::Bytes>& open) {
  const auto intent = open.find(*draft.body.Find(1u)->uint());
  if (intent == open.end()) {
    return Fail(
        ExitCode::kBadData, "audit record",
        "outcome record: there is no open intent " + cbor::Diagnostic(*draft.body.Find(1u)));
  }
  if (intent->second != *draft.body.Find(0u)->bytes()) {
    return Fail(ExitCode::kBadData, "audit record",
                "outcome record: the intent is of another call");
  }
  return {};
}

}  // namespace

uint64_t Log::signed_size() const { return checkpoints_->last() ? checkpoints_->last()->size : 0; }

Log::Batch Log::Begin() const {
  Batch batch;
  batch.next_seq = next_seq_;
  batch.head = head_;
  batch.open = open_;
  return batch;
}

Result<void> Log::Add(const Draft& draft, const Segment& segment, Batch* batch) const {
  KRUX_TRY(CheckDraft(draft));
  KRUX_TRY(carry_.Check(draft));
  if (draft.kind == Kind::kOutcome) KRUX_TRY(CheckOutcome(draft, batch->open));
  cbor::Bytes bytes = cbor::Encode(cbor::Map{{0u, 1u},
                                             {1u, batch->next_seq},
                                             {2u, batch->head},
                                             {3u, options_.clock->WallNs()},
                                             {4u, options_.clock->MonotonicNs()},
                                             {5u, boot_nonce_},
                                             {6u, static_cast<unsigned>(draft.kind)}});
  // Key 7 is the last: the body goes behind without being copied into the map first.
  constexpr uint8_t kMapOf7 = 0xa7;
  const cbor::Bytes body = cbor::Encode(draft.body);
  if (bytes[0] != kMapOf7) return Fail(ExitCode::kInternal, "audit record", "no map of seven");
  bytes[0] = kMapOf7 + 1;
  bytes.push_back(7);
  bytes.insert(bytes.end(), body.begin(), body.end());
  const cbor::Bytes openings =
      draft.openings.is_null() ? cbor::Bytes() : cbor::Encode(draft.openings);
  if (bytes.size() > KRUX_FRAME_LIMIT || openings.size() > KRUX_FRAME_LIMIT) {
    return Fail(ExitCode::kBadData, "audit record", "the record has more than 60 KiB");
  }
  cbor::Bytes frame = MakeFrame(bytes, openings);
  if (draft.kind == Kind::kOutcome && frame.size() > kCredit) {
    return Fail(ExitCode::kBadData, "audit record", "the outcome is larger than what was kept");
  }
  if (!Fits(segment, batch->bytes, frame.size(), batch->open.size(), draft.kind))
    return NeedsRoom();
  batch->bytes += frame.size();
  batch->frames.push_back(std::move(frame));
  batch->head = LeafHash(bytes);
  TrackOpen(batch->next_seq, draft.kind, draft.body, &batch->open);
  batch->carried.emplace_back(batch->next_seq, &draft);
  batch->next_seq += 1;
  return {};
}

void Log::Adopt(Batch* batch) {
  next_seq_ = batch->next_seq;
  head_ = std::move(batch->head);
  open_ = std::move(batch->open);
  for (const auto& [seq, draft] : batch->carried) carry_.Apply(seq, draft->kind, draft->body);
  batch->carried.clear();
}

Result<void> Log::Commit(Batch* batch) {
  const Result<void> written = segment_->Write(batch->frames);
  if (written) {
    Adopt(batch);
    return {};
  }
  if (segment_->failed() && segment_->touched() == Touched::kNo) {
    Sha256Stream hash;
    for (const cbor::Bytes& frame : batch->frames) hash.Update(frame);
    SetGap(written.error(), segment_->attempted(), hash.Finish());
  }
  return written;
}

void Log::SetGap(const Error& error, uint64_t bytes, cbor::Bytes sha256) {
  gap_ = {Kind::kGap,
          cbor::Map{{0u, error.stage},
                    {1u, static_cast<unsigned>(error.sys_errno)},
                    {2u, segment_->first_seq()},
                    {3u, segment_->size()},
                    {4u, bytes},
                    {5u, std::move(sha256)}},
          nullptr};
}

Result<void> Log::StartSegment(const std::vector<Draft>& first) {
  const std::vector<Draft> carried = carry_.Records();
  uint64_t head = 0;  // bytes
  for (const Draft& draft : carried) head += cbor::Encode(draft.body).size() + 2 * kAdded;
  const uint64_t least = std::max(kLeastReserve, head + (open_.size() + 4) * kCredit);
  Segment segment = KRUX_TRY(
      Segment::Create(*options_.io, log_dir_.get(), next_seq_, options_.segment_bytes, least));
  Batch batch = Begin();
  const Draft segment_draft = SegmentDraft();
  Result<void> result = Add(segment_draft, segment, &batch);
  for (size_t i = 0; i < carried.size() && result; ++i) result = Add(carried[i], segment, &batch);
  for (size_t i = 0; i < first.size() && result; ++i) result = Add(first[i], segment, &batch);
  if (result) result = segment.Write(batch.frames);
  if (result) result = segment.Publish();
  if (!result) {
    // Nobody was told about these records; without the file the next attempt is free to use the
    // name.
    (void)PutSegmentAside(*options_.io, log_dir_.get(), segment.first_seq());
    return result;
  }
  Adopt(&batch);
  touched_is_saved_ = false;
  if (segment_) segment_->ReleaseSpare();
  segment_ = std::make_unique<Segment>(std::move(segment));
  return {};
}

// The log as it can be written now, or why it cannot.
Result<void> Log::Ready() {
  if (!closed_.empty()) return Fail(ExitCode::kAudit, "audit", "the log is closed: " + closed_);
  KRUX_TRY(CheckFolder());
  KRUX_TRY(ReadyCheckpoints());
  if (put_back_ && !segment_->failed()) (void)SayPutBack();  // else with the next record
  if (!segment_->failed()) return {};
  if (segment_->touched() != Touched::kNo) KRUX_TRY(SaveTouched());
  const Result<void> started = StartSegment({gap_});
  if (started) return {};
  return Fail(
      ExitCode::kAudit, "audit",
      "the log cannot be written: " + started.error().message + " (a new segment after an error)");
}

// Commits the batch and settles its members; false where it failed, its members still pending.
bool Log::Settle(Batch* batch, Job* job) {
  if (batch->frames.empty()) return true;
  const uint64_t first = next_seq_;
  const std::vector<size_t> members = std::move(batch->members);
  if (const Result<void> result = Commit(batch); !result) {
    job->error = "the log cannot be written: " + result.error().message;
    return false;
  }
  for (size_t i = 0; i < members.size(); ++i) {
    job->results[members[i]].seq = first + i;
    job->pending[members[i]] = false;
  }
  return true;
}

void Log::Try(std::span<const Draft> drafts, Job* job) {
  if (const Result<void> ready = Ready(); !ready) {
    job->error = ready.error().message;
    return;
  }
  Batch batch = Begin();
  for (size_t i = 0; i < drafts.size(); ++i) {
    if (!job->pending[i]) continue;
    Result<void> added = Add(drafts[i], *segment_, &batch);
    if (!added && added.error().code == ExitCode::kBusy) {
      if (!Settle(&batch, job)) return;
      batch = Begin();
      // A segment that holds next to nothing and still has no room is full of promises to open
      // calls: a new one would be just as full.
      if (segment_->size() >= kCredit) {
        added = StartSegment({});
        batch = Begin();
      }
      if (added || added.error().code == ExitCode::kBusy) added = Add(drafts[i], *segment_, &batch);
    }
    if (added) {
      batch.members.push_back(i);
    } else {
      job->results[i].error = added.error().message;
      job->pending[i] = false;
    }
  }
  Settle(&batch, job);
}

std::vector<Appended> Log::Append(std::span<const Draft> drafts) {
  Job job{std::vector<Appended>(drafts.size()), std::vector<bool>(drafts.size(), true), {}};
  Try(drafts, &job);
  const bool again = std::ranges::find(job.pending, true) != job.pending.end();
  // The failed segment is finished; what it did not take goes once into the one that replaces it.
  if (again && closed_.empty() && segment_->failed()) Try(drafts, &job);
  for (size_t i = 0; i < drafts.size(); ++i) {
    if (job.pending[i]) job.results[i].error = job.error;
  }
  if (next_seq_ - signed_size() >= options_.checkpoint_every) (void)Checkpoint();
  return std::move(job.results);
}

Result<uint64_t> Log::Checkpoint() {
  if (!closed_.empty()) return Fail(ExitCode::kAudit, "audit", "the log is closed: " + closed_);
  KRUX_TRY(CheckFolder());
  KRUX_TRY(ReadyCheckpoints());
  Result<void> signed_now = checkpoints_->Append(*key_, next_seq_, head_);
  if (!signed_now && checkpoints_->failed()) {  // once more, through a new descriptor
    KRUX_TRY(ReadyCheckpoints());
    signed_now = checkpoints_->Append(*key_, next_seq_, head_);
  }
  if (!signed_now) return std::unexpected(signed_now.error());
  return next_seq_;
}

Result<void> Log::StorePolicy(std::span<const uint8_t> text) {
  return audit::StorePolicy(*options_.io, dir_.get(), text);
}

Result<cbor::Bytes> Log::FindPolicy(const cbor::Bytes& hash) const {
  return audit::FindPolicy(*options_.io, dir_.get(), hash);
}

}  // namespace krux::audit
