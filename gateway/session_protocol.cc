#include "gateway/session_protocol.h"

#include <algorithm>

#include "base/digest.h"

namespace krux::gateway {
namespace {

using cbor::Map;
using cbor::MapReader;
using cbor::Value;

constexpr size_t kIdBytes = 16;
constexpr size_t kHashBytes = 32;
constexpr size_t kMaxName = 256;
constexpr size_t kMaxTty = 256;
constexpr size_t kPageBytes = 48 * 1024;

MapReader Open(const Value& value, std::string_view what) {
  MapReader reader(value, what);
  reader.Text("type", kMaxName);
  return reader;
}

// What the digest is over.
Map Lasting(const SessionInfo& info) {
  return Map{{"session", info.session}, {"uid", uint64_t{info.uid}}, {"work", PathValue(info.work)},
             {"device", info.device},   {"inode", info.inode},       {"profile", info.profile},
             {"policy", info.policy},   {"epoch", info.epoch},       {"opened_ms", info.opened_ms},
             {"state", info.state},     {"budget", info.budget}};
}

Map ToMap(const SessionInfo& info) {
  Map map = Lasting(info);
  Map since;
  for (const auto& [bit, seq] : info.since) since.Set(bit, seq);
  map.Set("since", std::move(since));
  map.Set("resumed", info.resumed);
  map.Set("active", info.active);
  map.Set("digest", info.digest);
  return map;
}

Result<SessionInfo> InfoFrom(const Value& value) {
  MapReader r(value, "sessions");
  SessionInfo info;
  info.session = r.Fixed("session", kIdBytes);
  info.uid = static_cast<uid_t>(r.Uint("uid", UINT32_MAX));
  info.work = PathFrom(r.Any("work"));
  info.device = r.Uint("device");
  info.inode = r.Uint("inode");
  info.profile = r.Text("profile", kMaxName);
  info.policy = r.Fixed("policy", kHashBytes);
  info.epoch = r.Uint("epoch");
  info.opened_ms = r.Uint("opened_ms");
  info.resumed = r.Uint("resumed");
  info.active = r.Boolean("active");
  info.state = r.Submap("state");
  info.budget = r.Submap("budget");
  const Map since = r.Submap("since");
  info.digest = r.Fixed("digest", kHashBytes);
  KRUX_TRY(r.Finish());
  for (const auto& [bit, seq] : since) {
    if (bit.uint() != nullptr && seq.uint() != nullptr) info.since[*bit.uint()] = *seq.uint();
  }
  return info;
}

}  // namespace

Value PathValue(const std::string& path) {
  if (cbor::IsUtf8(path)) return path;
  return cbor::Bytes(path.begin(), path.end());
}

std::string PathFrom(const Value& value) {
  if (value.bytes() != nullptr) return {value.bytes()->begin(), value.bytes()->end()};
  return value.text() != nullptr ? *value.text() : std::string();
}

cbor::Bytes DigestOf(const SessionInfo& info) { return Sha256(cbor::Encode(Lasting(info))); }

cbor::Bytes Encode(const SessionsRequest& m) {
  Map map{{"type", "sessions"}};
  if (!m.after.empty()) map.Set("after", m.after);
  return cbor::Encode(map);
}

cbor::Bytes Encode(const SessionsReply& m) {
  cbor::Array sessions;
  size_t bytes = 0;
  for (const SessionInfo& info : m.sessions) {
    Value item = ToMap(info);
    bytes += cbor::Encode(item).size();
    if (bytes > kPageBytes && !sessions.empty()) break;
    sessions.push_back(std::move(item));
  }
  const bool more = m.more || sessions.size() < m.sessions.size();
  return cbor::Encode(Map{{"type", "sessions"}, {"sessions", std::move(sessions)}, {"more", more}});
}

cbor::Bytes Encode(const EndSessionRequest& m) {
  return cbor::Encode(Map{{"type", "end_session"}, {"session", m.session}, {"tty", m.tty}});
}

cbor::Bytes Encode(const EndSessionReply&) { return cbor::Encode(Map{{"type", "session_ended"}}); }

Result<SessionsRequest> DecodeSessionsRequest(const Value& value) {
  MapReader r = Open(value, "sessions");
  SessionsRequest m;
  if (r.Has("after")) m.after = r.Fixed("after", kIdBytes);
  KRUX_TRY(r.Finish());
  return m;
}

Result<SessionsReply> DecodeSessionsReply(const Value& value) {
  MapReader r = Open(value, "sessions");
  const cbor::Array sessions = r.List("sessions");
  SessionsReply m;
  m.more = r.Boolean("more");
  KRUX_TRY(r.Finish());
  for (const Value& item : sessions) m.sessions.push_back(KRUX_TRY(InfoFrom(item)));
  return m;
}

Result<EndSessionRequest> DecodeEndSessionRequest(const Value& value) {
  MapReader r = Open(value, "end_session");
  EndSessionRequest m{.session = r.Fixed("session", kIdBytes), .tty = r.Text("tty", kMaxTty)};
  KRUX_TRY(r.Finish());
  return m;
}

Result<EndSessionReply> DecodeEndSessionReply(const Value& value) {
  MapReader r = Open(value, "session_ended");
  KRUX_TRY(r.Finish());
  return EndSessionReply{};
}

}  // namespace krux::gateway
