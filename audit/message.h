// The messages between kruxd and krux-auditd, one CBOR map per packet (docs/PROTOCOL.md).
//
//   {"type": "append", "tag": uint, "kind": uint, "body": map, "openings": map / null}
//   {"type": "policy", "tag": uint, "text": bstr}
//   {"type": "checkpoint", "tag": uint}
//   {"type": "restore", "tag": uint, "after": bstr}     the carry (audit/carry.h), page by page
//   {"type": "recall", "tag": uint, "hash": bstr}       a policy text that was stored before
//   ← {"type": "ack", "tag": uint, "seq": uint, "error": tstr, "data"?: any}   error "" = durable
#pragma once

#include <variant>

#include "audit/client.h"
#include "audit/record.h"

namespace krux::audit {

struct AppendRequest {
  uint64_t tag = 0;
  Draft draft;
};
struct PolicyRequest {
  uint64_t tag = 0;
  cbor::Bytes text;
};
struct CheckpointRequest {
  uint64_t tag = 0;
};
struct RestoreRequest {
  uint64_t tag = 0;
  cbor::Bytes after;  // an id of 16 bytes, or empty: from the first
};
struct RecallRequest {
  uint64_t tag = 0;
  cbor::Bytes hash;  // 32 bytes
};
using Request =
    std::variant<AppendRequest, PolicyRequest, CheckpointRequest, RestoreRequest, RecallRequest>;
inline constexpr size_t kMaxPageBytes = 48 * 1024;  // of ids and their details in one answer

cbor::Bytes EncodeAppend(uint64_t tag, const Draft& draft);
cbor::Bytes EncodePolicy(uint64_t tag, std::span<const uint8_t> text);
cbor::Bytes EncodeCheckpoint(uint64_t tag);
cbor::Bytes EncodeRestore(uint64_t tag, const cbor::Bytes& after);
cbor::Bytes EncodeRecall(uint64_t tag, const cbor::Bytes& hash);
cbor::Bytes EncodeAck(const Ack& ack);

// Judges strict CBOR, type, keys, and that the kind may be appended; body and openings are judged
// by the log (CheckDraft) before anything of them is written. `*tag` is the tag as far as it could
// be read, so that even a refusal can be answered; 0 otherwise.
Result<Request> DecodeRequest(std::span<const uint8_t> bytes, uint64_t* tag);
Result<Ack> DecodeAck(std::span<const uint8_t> bytes);

}  // namespace krux::audit
