// Recovery: what a log folder holds when krux-auditd starts, and whether it may go on from there.
//
//   LogState state = KRUX_TRY(ReadLogState(io, dir, log_id));
//
// A bad frame at the end with nothing valid behind it is a torn write: it is kept aside and
// recorded. A bad frame with a valid one behind it, a broken chain, or a log that is shorter than
// its last signed checkpoint is no crash, and the log stays closed.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "audit/carry.h"
#include "audit/checkpoints.h"
#include "audit/io.h"
#include "audit/record.h"

namespace krux::audit {

// Bytes at the end of a segment that are no whole frame.
struct TornTail {
  uint64_t segment = 0;  // first seq of the segment
  uint64_t offset = 0;
  uint64_t bytes = 0;
  cbor::Bytes sha256;
};

struct LogState {
  uint64_t next_seq = 0;
  cbor::Bytes head;  // leaf hash of record next_seq - 1; zeros for an empty log
  bool has_segment = false;
  uint64_t segment = 0;        // first seq of the last segment
  uint64_t segment_size = 0;   // bytes of whole frames in it
  std::vector<TornTail> torn;  // kept aside, to be recorded
  // The last one ends in torn bytes, or does not hold all that is carried.
  bool needs_new_segment = false;
  std::map<uint64_t, cbor::Bytes> open;  // intents without outcome: seq → call id
  Carry carry;                           // what the records leave behind
};

// Reads the last segment (it begins with what the ones before it leave behind) and compares it with
// the last signed head. Keeps torn bytes aside as torn-<segment>-<offset>.bin.
Result<LogState> ReadLogState(Io& io, int dir, const cbor::Bytes& log_id,
                              const std::optional<SignedHead>& signed_head);

// What a record means for the list of open intents.
void TrackOpen(uint64_t seq, Kind kind, const cbor::Map& body,
               std::map<uint64_t, cbor::Bytes>* open);

}  // namespace krux::audit
