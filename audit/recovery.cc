#include "audit/recovery.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "audit/frame.h"
#include "audit/hash.h"
#include "audit/record.h"
#include "audit/segment.h"
#include "base/digest.h"

namespace krux::audit {
namespace {

constexpr uint64_t kMaxSegmentFile = 1ull << 30;
constexpr uint64_t kMostWork = 4ull << 30;  // bytes, a second or so
constexpr int kFrameStart = 0x83;           // array of 3

std::unexpected<Error> Corrupt(uint64_t segment, uint64_t offset, const std::string& what) {
  return Fail(
      ExitCode::kAudit, "log",
      "the log is damaged in `" + SegmentName(segment) + "` at byte " + std::to_string(offset) +
          ": " + what +
          "; run `krux audit verify`, keep the folder, and move it away to start a new log");
}

Result<std::vector<uint64_t>> ListSegments(int dir) {
  const int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return SysError(ExitCode::kAudit, "open log folder", errno);
  std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(copy), closedir);
  std::vector<uint64_t> segments;
  while (const dirent* entry = readdir(entries.get())) {
    uint64_t first = 0;
    if (ParseSegmentName(entry->d_name, &first)) segments.push_back(first);
  }
  std::ranges::sort(segments);
  return segments;
}

struct Scan {
  uint64_t next_seq = 0;
  cbor::Bytes head;
  uint64_t good = 0;  // bytes of whole frames
  uint64_t records = 0;
  bool served = false;  // holds a record that some client waited for
  std::map<uint64_t, cbor::Bytes> open;
  Carry carry;
  cbor::Bytes signed_leaf;  // leaf of record signed_size - 1, empty where it is not in this segment
  std::set<std::pair<uint64_t, uint64_t>> declared;  // segment and offset of torn tails
};

// Form 1 of a `recovered` record names bytes that are none of the chain.
void TrackDeclared(const cbor::Value& kind, const cbor::Map& body, Scan* scan) {
  if (kind != cbor::Value(static_cast<unsigned>(Kind::kRecovered))) return;
  const cbor::Value* segment = body.Find(4u);
  const cbor::Value* offset = body.Find(5u);
  if (segment == nullptr || offset == nullptr) return;
  if (segment->uint() != nullptr && offset->uint() != nullptr)
    scan->declared.emplace(*segment->uint(), *offset->uint());
}

// One record of the chain: format, seq, prev, and in the first place of a segment its segment
// record.
Result<void> ScanRecord(std::span<const uint8_t> bytes, uint64_t segment, const cbor::Bytes& log_id,
                        Scan* scan) {
  Result<cbor::Value> value = cbor::Decode(bytes);
  const cbor::Map* record = value ? value->map() : nullptr;
  const cbor::Value* seq = record == nullptr ? nullptr : record->Find(1u);
  const cbor::Value* prev = record == nullptr ? nullptr : record->Find(2u);
  const cbor::Value* kind = record == nullptr ? nullptr : record->Find(6u);
  const cbor::Value* body = record == nullptr ? nullptr : record->Find(7u);
  if (seq == nullptr || prev == nullptr || kind == nullptr || body == nullptr ||
      body->map() == nullptr || prev->bytes() == nullptr) {
    return Corrupt(segment, scan->good, "not a record");
  }
  if (*seq != cbor::Value(scan->next_seq))
    return Corrupt(segment, scan->good, "a record is missing");
  if (scan->records == 0) {
    const cbor::Value* id = body->map()->Find(0u);
    if (*kind != cbor::Value(0u) || id == nullptr || *id != cbor::Value(log_id)) {
      return Corrupt(segment, scan->good, "the segment belongs to another log");
    }
  } else if (*prev->bytes() != scan->head) {
    return Corrupt(segment, scan->good, "the record does not follow the one before it");
  }
  if (kind->uint() == nullptr) return Corrupt(segment, scan->good, "not a record");
  const Kind is = static_cast<Kind>(*kind->uint());
  scan->served |= is != Kind::kSegment && is != Kind::kRecovered && !IsCarried(is, *body->map());
  TrackOpen(scan->next_seq, is, *body->map(), &scan->open);
  scan->carry.Apply(scan->next_seq, is, *body->map());
  TrackDeclared(*kind, *body->map(), scan);
  scan->head = LeafHash(bytes);
  scan->next_seq += 1;
  scan->records += 1;
  return {};
}

struct ScanLimits {
  uint64_t signed_size = 0;
  uint64_t until = UINT64_MAX;  // seq of the first record that is not this segment's any more
};

// Whole frames from the start on, as far as they go.
Result<Scan> ScanFrames(std::span<const uint8_t> bytes, uint64_t segment, const cbor::Bytes& log_id,
                        const ScanLimits& limits) {
  Scan scan;
  scan.next_seq = segment;
  scan.head.resize(kHashBytes);
  while (scan.good < bytes.size() && scan.next_seq < limits.until) {
    const std::span<const uint8_t> rest = bytes.subspan(scan.good);
    krux_frame frame;
    if (krux_frame_parse(rest.data(), rest.size(), &frame) != KRUX_FRAME_OK) break;
    KRUX_TRY(ScanRecord({frame.record, frame.record_size}, segment, log_id, &scan));
    if (scan.next_seq == limits.signed_size) scan.signed_leaf = scan.head;
    scan.good += frame.size;
  }
  return scan;
}

// Whether a good frame stands behind the bad one at `bad`. Not inside it: as far as its heads go,
// the bytes are its own, and an agent may have sent a whole frame as an argument. (A head that was
// changed to claim what follows hides records, but not that they are missing: they were signed.)
Result<bool> GoodFrameFollows(std::span<const uint8_t> bytes, size_t bad, uint64_t segment) {
  if (bad >= bytes.size()) return false;
  krux_frame frame;
  const krux_frame_status status = krux_frame_parse(bytes.data() + bad, bytes.size() - bad, &frame);
  if (status == KRUX_FRAME_CUT && bytes.size() - bad >= KRUX_FRAME_HEAD) return false;
  uint64_t work = 0;  // bytes that were summed
  for (size_t at = bad + (status == KRUX_FRAME_BAD_CRC ? frame.size : 1); at < bytes.size(); ++at) {
    const void* start = memchr(bytes.data() + at, kFrameStart, bytes.size() - at);
    if (start == nullptr) break;
    at = static_cast<size_t>(static_cast<const uint8_t*>(start) - bytes.data());
    switch (krux_frame_parse(bytes.data() + at, bytes.size() - at, &frame)) {
      case KRUX_FRAME_OK:
        return true;
      case KRUX_FRAME_BAD_CRC:
        work += frame.size;
        break;
      default:
        break;
    }
    if (work > kMostWork)
      return Corrupt(segment, bad, "what follows looks like frames and is none");
  }
  return false;
}

Result<Scan> ScanSegment(std::span<const uint8_t> bytes, uint64_t segment,
                         const cbor::Bytes& log_id, uint64_t signed_size) {
  Scan scan = KRUX_TRY(ScanFrames(bytes, segment, log_id, {.signed_size = signed_size}));
  if (KRUX_TRY(GoodFrameFollows(bytes, scan.good, segment)))
    return Corrupt(segment, scan.good, "a bad frame is followed by valid ones");
  return scan;
}

// What a segment holds behind its last whole frame; with offset 0, a segment that never got one.
struct Leftover {
  uint64_t segment;
  uint64_t offset;
  cbor::Bytes bytes;  // of the whole segment
};

Result<void> PutAside(Io& io, int dir, const Leftover& leftover, LogState* state) {
  const std::string name = SegmentName(leftover.segment);
  const std::span<const uint8_t> tail = std::span(leftover.bytes).subspan(leftover.offset);
  if (!tail.empty()) {
    const std::string aside =
        "torn-" + name.substr(4, 20) + "-" + std::to_string(leftover.offset) + ".bin";
    const Result<void> kept = WriteFileDurably(io, dir, aside, 0640, tail);
    // It is there already when an earlier start got this far and no further.
    if (!kept && kept.error().sys_errno != EEXIST) return kept;
    state->torn.push_back({leftover.segment, leftover.offset, tail.size(), Sha256(tail)});
  }
  if (leftover.offset > 0) return {};
  const int e = io.Unlink(dir, name.c_str());
  if (e < 0) return SysError(ExitCode::kAudit, "remove the unfinished `" + name + "`", -e);
  return {};
}

// A start that was killed while it wrote its first records may have left a segment without the one
// that declares what lies behind the segment before it. As long as nobody was served since, what is
// not declared yet is found again. The same segment may hold only a part of what is carried: it is
// taken from the last one that holds something else, or the first there is.
Result<void> FindUndeclared(Io& io, int dir, const cbor::Bytes& log_id, Scan last,
                            uint64_t last_segment, std::vector<uint64_t> before,
                            std::vector<Leftover>* leftovers, Carry* carry) {
  while (!last.served && !before.empty()) {
    const uint64_t segment = before.back();
    before.pop_back();
    UniqueFd fd(io.OpenAt(dir, SegmentName(segment).c_str(), O_RDONLY, 0));
    if (fd.get() < 0) return SysError(ExitCode::kAudit, "open segment", -fd.release());
    cbor::Bytes bytes = KRUX_TRY(ReadWhole(io, fd.get(), kMaxSegmentFile));
    Scan scan = KRUX_TRY(ScanFrames(bytes, segment, log_id, {.until = last_segment}));
    scan.declared.merge(last.declared);
    if (scan.good < bytes.size() && !scan.declared.contains({segment, scan.good}))
      leftovers->push_back({segment, scan.good, std::move(bytes)});
    last = std::move(scan);
    last_segment = segment;
  }
  *carry = std::move(last.carry);
  return {};
}

// The signed size is a floor: a log below it was cut, by whatever.
Result<void> CheckSignedHead(const Scan& scan, uint64_t segment, const SignedHead& head) {
  if (scan.next_seq < head.size) {
    return Fail(
        ExitCode::kAudit, "log",
        "the log has " + std::to_string(scan.next_seq) + " records but " +
            std::to_string(head.size) +
            " are signed: the end is missing; run `krux audit verify`, keep the folder, and "
            "move it away to start a new log");
  }
  if (head.size > segment && scan.signed_leaf != head.head) {
    return Corrupt(segment, 0,
                   "record " + std::to_string(head.size - 1) + " is not the one that was signed");
  }
  return {};
}

}  // namespace

void TrackOpen(uint64_t seq, Kind kind, const cbor::Map& body,
               std::map<uint64_t, cbor::Bytes>* open) {
  switch (kind) {
    case Kind::kSegment:
      if (const cbor::Value* list = body.Find(6u); list != nullptr && list->array() != nullptr) {
        for (const cbor::Value& item : *list->array()) {
          const cbor::Array* pair = item.array();
          if (pair == nullptr || pair->size() != 2) continue;
          if ((*pair)[0].uint() == nullptr || (*pair)[1].bytes() == nullptr) continue;
          (*open)[*(*pair)[0].uint()] = *(*pair)[1].bytes();
        }
      }
      break;
    case Kind::kIntent:
      if (const cbor::Value* id = body.Find(0u); id != nullptr && id->bytes() != nullptr) {
        (*open)[seq] = *id->bytes();
      }
      break;
    case Kind::kOutcome:
    case Kind::kRecovered:
      if (const cbor::Value* intent = body.Find(1u);
          intent != nullptr && intent->uint() != nullptr) {
        open->erase(*intent->uint());
      }
      break;
    default:
      break;
  }
}

Result<LogState> ReadLogState(Io& io, int dir, const cbor::Bytes& log_id,
                              const std::optional<SignedHead>& signed_head) {
  std::vector<uint64_t> segments = KRUX_TRY(ListSegments(dir));
  LogState state;
  state.head.resize(kHashBytes);
  std::vector<Leftover> leftovers;  // nothing is touched before everything is judged
  while (!segments.empty() && !state.has_segment) {
    const uint64_t segment = segments.back();
    segments.pop_back();
    UniqueFd fd(io.OpenAt(dir, SegmentName(segment).c_str(), O_RDONLY, 0));
    if (fd.get() < 0) return SysError(ExitCode::kAudit, "open segment", -fd.release());
    cbor::Bytes bytes = KRUX_TRY(ReadWhole(io, fd.get(), kMaxSegmentFile));
    Scan scan = KRUX_TRY(ScanSegment(bytes, segment, log_id, signed_head ? signed_head->size : 0));
    if (scan.good < bytes.size() || scan.records == 0) {
      leftovers.push_back({segment, scan.good, std::move(bytes)});
    }
    if (scan.records == 0) continue;  // a crash while it was being made: the one before goes on
    if (signed_head) KRUX_TRY(CheckSignedHead(scan, segment, *signed_head));
    // The writer signs before it serves anybody.
    if (!signed_head && scan.served) {
      return Fail(ExitCode::kAudit, "log",
                  "`checkpoints` is missing or empty but the log was signed; bring it back, or "
                  "keep the folder and move it away to start a new log");
    }
    state.next_seq = scan.next_seq;
    state.head = scan.head;
    state.has_segment = true;
    state.segment = segment;
    state.segment_size = scan.good;
    state.open = std::move(scan.open);
    const Carry held = scan.carry;
    state.needs_new_segment = !leftovers.empty() && leftovers.back().segment == segment;
    KRUX_TRY(FindUndeclared(io, dir, log_id, std::move(scan), segment, segments, &leftovers,
                            &state.carry));
    // One that begins with less than is carried must not be gone on with.
    state.needs_new_segment |= held != state.carry;
  }
  if (!state.has_segment && signed_head) {
    return Fail(ExitCode::kAudit, "log",
                "every segment is gone but " + std::to_string(signed_head->size) +
                    " records are signed; keep the folder, and move it away to start a new log");
  }
  for (const Leftover& leftover : leftovers) KRUX_TRY(PutAside(io, dir, leftover, &state));
  return state;
}

}  // namespace krux::audit
