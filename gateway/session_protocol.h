// The messages about sessions: what they are in, and their end. Part of the client protocol
// (gateway/protocol.h has the table; docs/PROTOCOL.md the wire).
//
//   → {"type":"sessions","after"?}          ← {"type":"sessions","sessions":[SessionInfo],"more"}
//   → {"type":"end_session","session","tty"} ← {"type":"session_ended"}
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "base/cbor_value.h"
#include "base/error.h"

namespace krux::gateway {

struct SessionInfo {
  cbor::Bytes session;  // 16 bytes
  uid_t uid = 0;
  std::string work;  // host path
  uint64_t device = 0, inode = 0;
  std::string profile;
  cbor::Bytes policy;  // SHA-256 of the policy it runs under
  uint64_t epoch = 0;  // of that policy
  uint64_t opened_ms = 0;
  uint64_t resumed = 0;  // how often a gateway went on with it
  bool active = false;   // opened since this gateway started
  cbor::Map state;       // lattices, docs/AUDIT_FORMAT.md §4
  cbor::Map budget;
  std::map<uint64_t, uint64_t> since;  // bit of the exposure → seq of the record that brought it
  cbor::Bytes digest;                  // 32 bytes
};
// SHA-256 over the canonical CBOR of everything that a restart must not change: all of the above
// but `resumed`, `active` and `since`.
cbor::Bytes DigestOf(const SessionInfo& info);

// Sessions of the peer's uid; at admin.sock of every uid. In the order of their ids.
struct SessionsRequest {
  cbor::Bytes after;  // an id, or empty: from the first
};
struct SessionsReply {
  std::vector<SessionInfo> sessions;
  bool more = false;
};

// Only at admin.sock: what is opened next in its place begins clean.
struct EndSessionRequest {
  cbor::Bytes session;  // 16 bytes
  std::string tty;      // from where, "/dev/pts/3"; recorded
};
struct EndSessionReply {};

cbor::Bytes Encode(const SessionsRequest& m);
// As many of the sessions as fit; `more` is set where some did not.
cbor::Bytes Encode(const SessionsReply& m);
cbor::Bytes Encode(const EndSessionRequest& m);
cbor::Bytes Encode(const EndSessionReply& m);

Result<SessionsRequest> DecodeSessionsRequest(const cbor::Value& value);
Result<SessionsReply> DecodeSessionsReply(const cbor::Value& value);
Result<EndSessionRequest> DecodeEndSessionRequest(const cbor::Value& value);
Result<EndSessionReply> DecodeEndSessionReply(const cbor::Value& value);

// A path is bytes: as text where it is some.
cbor::Value PathValue(const std::string& path);
std::string PathFrom(const cbor::Value& value);

}  // namespace krux::gateway
