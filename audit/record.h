// The record schema of log format 1, as docs/AUDIT_FORMAT.md specifies it: kinds, keys and the
// builders of their bodies. kruxd builds drafts, krux-auditd adds format, seq, prev, clocks and
// boot.
//
//   audit::Intent intent;
//   intent.call_id = …; intent.args = cbor::Map{{"path", "README.md"}}; …
//   KRUX_TRY(client.Append(tag, audit::ToDraft(intent)));
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/cbor_value.h"

namespace krux::audit {

enum class Kind : uint8_t {
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

enum class DecisionCode : uint8_t { kAllow = 0, kDeny = 1, kAsk = 2 };

enum class Status : uint8_t {
  kOk = 0,
  kFailed = 1,
  kKilled = 2,
  kTimeout = 3,
  kSetupFailed = 4,
  kUnknown = 5,
  kRefused = 6,
  kOom = 7,
  kCancelled = 8,
  kPids = 9,
  kOutput = 10,
};
// The names of docs/AUDIT_FORMAT.md: "intent", "allow", "setup_failed".
const char* Name(Kind kind);
const char* Name(DecisionCode decision);
const char* Name(Status status);

// A field whose clear value stays outside the hash: `commit` = HMAC-SHA256(salt, label ||
// CBOR(value)).
struct Committed {
  cbor::Bytes commit;  // 32 bytes, stands in the record
  cbor::Bytes salt;    // 32 bytes, stands in the openings
  cbor::Value value;   // stands in the openings; by digest and length where it is large
};
// The fields that are committed, by kind and body key; the label separates them.
inline constexpr std::string_view kArgsLabel = "args";      // intent, denial, deferral: key 4
inline constexpr std::string_view kResultLabel = "result";  // outcome: key 5
inline constexpr std::string_view kReasonLabel = "reason";  // outcome: key 11
// A value whose encoding is longer than this stands in the openings as {"bytes", "sha256"} of it.
inline constexpr size_t kMaxOpenedValue = 24 * 1024;          // bytes
Committed Commit(std::string_view label, cbor::Value value);  // draws a fresh salt
cbor::Bytes CommitmentOf(std::string_view label, const cbor::Bytes& salt, const cbor::Value& value);

// A record without what auditd adds. `openings` is {body key → [salt, value]} or null.
struct Draft {
  Kind kind = Kind::kIntent;
  cbor::Map body;
  cbor::Value openings;
};

// Also used for kDenial and kDeferral: the same body, the decision tells them apart.
struct Intent {
  cbor::Bytes call_id;  // 16 bytes
  cbor::Bytes session;  // 16 bytes
  std::string agent;
  std::string capability;  // as asked, escaped by readers
  cbor::Value args;        // normalised arguments; committed, opened beside the record
  DecisionCode decision = DecisionCode::kDeny;
  std::vector<std::string> rules;  // the rules behind it, most decisive first
  cbor::Bytes policy_hash;         // SHA-256 of the policy text, 32 bytes
  // Lattices: {0: exposure, 1: calls, …}, unsigned both sides; empty where there is no session.
  cbor::Map state_before, state_after;
  cbor::Map budget_before, budget_after;  // {0: calls left, 1: wall ms left, …}
  // Every other input of decide(): now_ms, scope bits, risk, dimension, … Keys are text. It stands
  // in the clear: bits and numbers, never a path or an argument.
  cbor::Map inputs;
  cbor::Bytes spec_digest;       // SHA-256 of the Spec's CBOR; empty where no sandbox was planned
  uint64_t layers_required = 0;  // sandbox::LayerMask
  uint64_t layers_degraded = 0;  // operator's choice of what may be missing
  cbor::Map footprint;
  uint64_t policy_epoch = 0;
  cbor::Map peer;  // {"pid", "uid", "gid"} of the client
};
Draft ToDraft(
    const Intent& intent);  // kind from the decision: allow → intent, deny → denial, ask → deferral

struct Outcome {
  cbor::Bytes call_id;
  uint64_t intent_seq = 0;
  Status status = Status::kUnknown;
  int64_t exit_code = 0;  // exit code the client gets
  int64_t detail = 0;     // program's exit status, signal or errno
  cbor::Value result;     // {"bytes", "sha256", …}; committed
  uint64_t result_bytes = 0;
  uint64_t cpu_us = 0, wall_us = 0, max_rss_kib = 0;
  std::optional<uint64_t> read_bytes, written_bytes;  // of devices; nothing where no worker ended
  std::optional<int64_t> files;  // inodes that WORK's file system gained; writable WORK only
  cbor::Value receipt;           // sandbox::ToValue(Receipt) or null
  std::string reason;            // why it is not ok: one sentence, empty when ok; committed
  cbor::Map state_after;         // where the session has seen more than the intent says; else empty
  cbor::Map budget_before, budget_after;  // as in the intent; empty where there is no session
};
Draft ToDraft(const Outcome& outcome);

// Session opened or ended {0: session, 1: event, 2: details}; gateway started or stopped
// {0: event, 1: details}. The keys of `details` are text.
Draft SessionDraft(const cbor::Bytes& session, std::string_view event, cbor::Map details);
Draft AdminDraft(std::string_view event, cbor::Map details);
Draft PolicyDraft(const cbor::Bytes& policy_hash, std::string_view name, uint64_t epoch);

}  // namespace krux::audit
