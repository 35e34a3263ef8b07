// What a record of format 1 says, judged against docs/AUDIT_FORMAT.md §3 and §4.
//
//   Facts facts;
//   if (const std::string why = JudgeRecord(record, &facts); !why.empty()) ...
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "audit/verify/crypto.h"

namespace krux::audit::verify {

enum Kind : uint64_t {
  kSegment = 0,
  kIntent = 1,
  kOutcome = 2,
  kDenial = 3,
  kDeferral = 4,
  kApproval = 5,
  kCheckpoint = 6,
  kKeyRotate = 7,
  kPolicy = 8,
  kSession = 9,
  kAdmin = 10,
  kRedaction = 11,
  kGap = 12,
  kRecovered = 13,
  kHeartbeat = 14,
  kSink = 15,
  kSeal = 16,
  kGrant = 17,
};
const char* KindName(uint64_t kind);  // "intent"; "unknown" for others

// A commitment in a body, or the redaction of one.
struct CommittedField {
  uint64_t key;
  std::string_view label;
  ByteView commit;
};

// Bytes at the end of a segment that a record declares to be none of the chain.
struct DeclaredTail {
  uint64_t segment = 0, offset = 0, bytes = 0;
  bool exact =
      false;  // `recovered`: size and hash are what was there; `gap`: at most so many bytes
  Hash sha256{};
};

// What other records and files must agree with. Views point into the record.
struct Facts {
  uint64_t seq = 0;
  uint64_t kind = 0;
  ByteView prev;
  ByteView body;  // encoded
  std::vector<CommittedField> commits;
  ByteView call_id;                                 // intent, outcome, recovered
  std::optional<uint64_t> closes;                   // outcome, recovered: seq of the intent
  ByteView log_id, segment_prev;                    // segment
  uint64_t first_seq = 0;                           // segment
  std::vector<std::pair<uint64_t, ByteView>> open;  // segment: intents without outcome
  std::optional<DeclaredTail> tail;                 // gap, recovered
  std::optional<uint64_t> redacts;                  // redaction: seq
  std::vector<uint64_t> redacted_keys;
};

// Why the record is none of format 1, or "".
std::string JudgeRecord(ByteView record, Facts* facts);

// Why the openings do not open every commitment and nothing else, or "". Commitments without an
// opening go to `missing`: a redaction may account for them.
std::string JudgeOpenings(const std::optional<ByteView>& openings, const Facts& facts,
                          std::vector<uint64_t>* missing);

}  // namespace krux::audit::verify
