// The client protocol: every message between krux (or any other client) and kruxd, as a struct with
// its encoder and strict decoder, and one table that says who may send what, in which state.
// docs/PROTOCOL.md specifies the wire; this file is its code.
//
//   Bytes packet = Encode(HelloRequest{});
//   std::string type = KRUX_TRY(MessageTypeOf(value));
//   CallRequest call = KRUX_TRY(DecodeCallRequest(value));
//
// SOCK_SEQPACKET, one CBOR map with text keys per packet, at most 64 KiB, descriptors by
// SCM_RIGHTS. Unknown keys, missing keys, wrong types and sizes are errors of code kBadData.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/cbor_value.h"
#include "base/error.h"

namespace krux::gateway {

inline constexpr uint64_t kProtocolVersion = 1;
inline constexpr size_t kSessionIdBytes = 16;
inline constexpr size_t kMaxProfileBytes = 64;
inline constexpr size_t kMaxCapabilityBytes = 256;  // longer names are no call at all
inline constexpr size_t kMaxMessageBytes = 2048;    // of human text in one reply

// The two sockets of a gateway, as bits.
enum Door : uint8_t { kAgentDoor = 1, kAdminDoor = 2 };
// A connection is new until it has said hello.
enum class ConnectionState : uint8_t { kNew = 0, kReady = 1 };

// The protocol as data: {type, wire name, doors, state it needs, descriptors it carries at least
// and at most, handler}. The handlers are members of Gateway (gateway/gateway.h); nothing is
// dispatched outside this table.
#define KRUX_REQUESTS(X)                                                                       \
  X(kHello, "hello", kAgentDoor | kAdminDoor, ConnectionState::kNew, 0, 0, OnHello)            \
  X(kOpen, "open", kAgentDoor, ConnectionState::kReady, 1, 1, OnOpen)                          \
  X(kCall, "call", kAgentDoor, ConnectionState::kReady, 0, 1, OnCall)                          \
  X(kStatus, "status", kAgentDoor | kAdminDoor, ConnectionState::kReady, 0, 0, OnStatus)       \
  X(kCheckpoint, "checkpoint", kAgentDoor | kAdminDoor, ConnectionState::kReady, 0, 0,         \
    OnCheckpoint)                                                                              \
  X(kReload, "reload", kAdminDoor, ConnectionState::kReady, 0, 0, OnReload)                    \
  X(kSessions, "sessions", kAgentDoor | kAdminDoor, ConnectionState::kReady, 0, 0, OnSessions) \
  X(kEndSession, "end_session", kAdminDoor, ConnectionState::kReady, 0, 0, OnEndSession)       \
  X(kStop, "stop", kAdminDoor, ConnectionState::kReady, 0, 0, OnStop)

enum class RequestType : uint8_t {
#define X(enumerator, name, doors, state, min_fds, max_fds, handler) enumerator,
  KRUX_REQUESTS(X)
#undef X
};

struct RequestRule {
  std::string_view name;
  size_t min_fds, max_fds;  // descriptors
  RequestType type;
  uint8_t doors;          // bits of Door
  ConnectionState state;  // exactly this one
};
// The rule of the request called `name`; null when there is none.
const RequestRule* FindRequest(std::string_view name);
// "1", or "0 or 1", for messages and docs/PROTOCOL.md.
std::string DescriptorCount(const RequestRule& rule);
// The "type" of a message, an error of code kBadData when `value` is no map with a text "type".
Result<std::string> MessageTypeOf(const cbor::Value& value);

// → {"type":"hello","version":1}
struct HelloRequest {
  uint64_t version = kProtocolVersion;
};
// ← {"type":"hello","version":1,"gateway":{"pid","mode","release","degraded"}}
struct HelloReply {
  uint64_t version = kProtocolVersion;
  uint64_t pid = 0;                   // of kruxd
  std::string mode;                   // "embedded", "rootless" or "service"
  std::string release;                // "0.1.0"
  std::vector<std::string> degraded;  // layers that the operator allows to be missing
};

// → {"type":"open","profile"?} and one descriptor: an end of the socketpair that holds WORK
struct OpenRequest {
  std::string profile;  // empty: none named, read_only
};
// ← {"type":"opened","session","work","profile","degraded"}
struct OpenReply {
  cbor::Bytes session;  // 16 bytes
  std::string work;     // host path of WORK
  std::string profile;  // the effective profile's name
  std::vector<std::string> degraded;
};

// → {"type":"call","id","session","cap","args","profile"?} and perhaps a sealed memfd: the content
// argument of the capability
struct CallRequest {
  uint64_t id = 0;      // chosen by the client, repeated in the reply
  cbor::Bytes session;  // 16 bytes, from OpenReply
  std::string capability;
  cbor::Value args;     // a map; judged by the catalog, not here
  std::string profile;  // empty, or equal to the session's
};
// ← {"type":"result",…} and a sealed memfd (sandbox/result.h) when "bytes" > 0
struct CallReply {
  uint64_t id = 0;
  ExitCode code = ExitCode::kInternal;
  bool ok = false;
  cbor::Value data;                   // map or null
  uint64_t seq = 0;                   // of the intent, denial or deferral record; 0 = none durable
  uint64_t outcome_seq = 0;           // of the outcome record; 0 = there is none
  std::string verdict;                // "allow", "ask", "deny"; empty when it came to no decision
  std::string rule;                   // the one rule behind a verdict below allow, "file:line name"
  std::string message;                // empty when ok
  std::string next;                   // what to do next, empty when there is nothing
  std::vector<std::string> exposure;  // legs of the session after this call
  bool truncated = false;             // the output was cut at its cap
  uint64_t bytes = 0;                 // of the data part of the memfd
};

struct StatusRequest {};
// ← {"type":"status",…}
struct StatusReply {
  uint64_t pid = 0;
  std::string mode;
  std::string release;
  uint64_t uptime_ms = 0;
  uint64_t clients = 0;  // connections, the asking one included
  uint64_t sessions = 0;
  uint64_t calls_in_flight = 0;
  uint64_t calls_waiting = 0;
  uint64_t calls_total = 0;  // answered since start
  std::string audit;         // "ok", "silent" or "gone"
  std::string sandbox;       // "ok" or "gone"
  std::string ceiling;       // name of the widest profile
  std::vector<std::string> degraded;
  uint64_t policy_epoch = 0;          // how often the policies changed, from 1
  std::vector<std::string> policies;  // names of the operator's own
};

struct CheckpointRequest {};
// ← {"type":"checkpoint","size"}: every record below `size` lies under a signed head
struct CheckpointReply {
  uint64_t size = 0;
};

// → {"type":"reload"}: the operator's policy files are read again
struct ReloadRequest {};
// ← {"type":"reloaded",…}: all of them are in force. Sessions go on; none of them gained anything.
struct ReloadReply {
  uint64_t epoch = 0;
  std::vector<std::string> policies;  // names of the operator's own
  uint64_t narrowed = 0;              // sessions that may do less than before
  uint64_t kept = 0;    // sessions whose profile would now allow more, which they do not get
  uint64_t closed = 0;  // sessions whose profile is gone
};

struct StopRequest {};
// ← {"type":"stopping"}
struct StopReply {};

// ← {"type":"error","code","message"}: to a bad frame, or a request that failed before it was a
// call
struct ErrorReply {
  ExitCode code = ExitCode::kInternal;
  std::string message;
};

cbor::Bytes Encode(const HelloRequest& m);
cbor::Bytes Encode(const HelloReply& m);
cbor::Bytes Encode(const OpenRequest& m);
cbor::Bytes Encode(const OpenReply& m);
cbor::Bytes Encode(const CallRequest& m);
// Never more than one packet: `data` is replaced by null and `truncated` set where it would not
// fit.
cbor::Bytes Encode(const CallReply& m);
cbor::Bytes Encode(const StatusRequest& m);
cbor::Bytes Encode(const StatusReply& m);
cbor::Bytes Encode(const CheckpointRequest& m);
cbor::Bytes Encode(const CheckpointReply& m);
cbor::Bytes Encode(const ReloadRequest& m);
cbor::Bytes Encode(const ReloadReply& m);
cbor::Bytes Encode(const StopRequest& m);
cbor::Bytes Encode(const StopReply& m);
cbor::Bytes Encode(const ErrorReply& m);

Result<HelloRequest> DecodeHelloRequest(const cbor::Value& value);
Result<HelloReply> DecodeHelloReply(const cbor::Value& value);
Result<OpenRequest> DecodeOpenRequest(const cbor::Value& value);
Result<OpenReply> DecodeOpenReply(const cbor::Value& value);
Result<CallRequest> DecodeCallRequest(const cbor::Value& value);
Result<CallReply> DecodeCallReply(const cbor::Value& value);
Result<StatusRequest> DecodeStatusRequest(const cbor::Value& value);
Result<StatusReply> DecodeStatusReply(const cbor::Value& value);
Result<CheckpointRequest> DecodeCheckpointRequest(const cbor::Value& value);
Result<CheckpointReply> DecodeCheckpointReply(const cbor::Value& value);
Result<ReloadRequest> DecodeReloadRequest(const cbor::Value& value);
Result<ReloadReply> DecodeReloadReply(const cbor::Value& value);
Result<StopRequest> DecodeStopRequest(const cbor::Value& value);
Result<StopReply> DecodeStopReply(const cbor::Value& value);
Result<ErrorReply> DecodeErrorReply(const cbor::Value& value);

// `text` cut to `max` bytes at a character boundary.
std::string Clip(std::string_view text, size_t max = kMaxMessageBytes);

}  // namespace krux::gateway
