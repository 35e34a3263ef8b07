#include "gateway/protocol.h"

#include "base/channel.h"

namespace krux::gateway {
namespace {

using cbor::Map;
using cbor::MapReader;
using cbor::Value;

constexpr size_t kMaxNameBytes = 64;    // of layers, modes, exposure legs
constexpr size_t kMaxPathBytes = 4096;  // PATH_MAX
constexpr size_t kMaxNames = 64;

constexpr RequestRule kRules[] = {
#define X(enumerator, name, doors, state, min_fds, max_fds, handler) \
  {name, min_fds, max_fds, RequestType::enumerator, doors, state},
    KRUX_REQUESTS(X)
#undef X
};

cbor::Array ToArray(const std::vector<std::string>& names) {
  return cbor::Array(names.begin(), names.end());
}

// A list of short names; anything else in it is an error.
Result<std::vector<std::string>> Names(const cbor::Array& items, std::string_view key) {
  std::vector<std::string> names;
  for (const Value& item : items) {
    if (item.text() == nullptr || item.text()->size() > kMaxNameBytes) {
      return Fail(ExitCode::kBadData, "decode",
                  "`" + std::string(key) + "` must be a list of names");
    }
    names.push_back(*item.text());
  }
  return names;
}

// A reader that has consumed "type"; the caller knows it already.
MapReader Open(const Value& value, std::string_view what) {
  MapReader reader(value, what);
  reader.Text("type", kMaxNameBytes);
  return reader;
}

ExitCode CodeFromNumber(uint64_t number) {
  switch (number) {
#define X(enumerator, code, name, meaning) \
  case code:                               \
    return ExitCode::enumerator;
    KRUX_EXIT_CODES(X)
#undef X
    default:
      return ExitCode::kInternal;
  }
}

uint64_t Number(ExitCode code) { return static_cast<uint64_t>(ToInt(code)); }

}  // namespace

std::string Clip(std::string_view text, size_t max) {
  if (text.size() <= max) return std::string(text);
  size_t end = max;
  // 10xxxxxx continues a character: step back to its start, so that what is left is UTF-8 again.
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end));
}

const RequestRule* FindRequest(std::string_view name) {
  for (const RequestRule& rule : kRules) {
    if (rule.name == name) return &rule;
  }
  return nullptr;
}

std::string DescriptorCount(const RequestRule& rule) {
  const std::string least = std::to_string(rule.min_fds);
  return rule.min_fds == rule.max_fds ? least : least + " or " + std::to_string(rule.max_fds);
}

Result<std::string> MessageTypeOf(const Value& value) {
  const Value* type = value.map() != nullptr ? value.map()->Find("type") : nullptr;
  if (type == nullptr || type->text() == nullptr) {
    return Fail(ExitCode::kBadData, "decode", "a message is a map with a text `type`");
  }
  return *type->text();
}

cbor::Bytes Encode(const HelloRequest& m) {
  return cbor::Encode(Map{{"type", "hello"}, {"version", m.version}});
}

cbor::Bytes Encode(const HelloReply& m) {
  return cbor::Encode(Map{{"type", "hello"},
                          {"version", m.version},
                          {"gateway", Map{{"pid", m.pid},
                                          {"mode", m.mode},
                                          {"release", m.release},
                                          {"degraded", ToArray(m.degraded)}}}});
}

cbor::Bytes Encode(const OpenRequest& m) {
  Map map{{"type", "open"}};
  if (!m.profile.empty()) map.Set("profile", m.profile);
  return cbor::Encode(map);
}

cbor::Bytes Encode(const OpenReply& m) {
  return cbor::Encode(Map{{"type", "opened"},
                          {"session", m.session},
                          {"work", m.work},
                          {"profile", m.profile},
                          {"degraded", ToArray(m.degraded)}});
}

cbor::Bytes Encode(const CallRequest& m) {
  Map map{{"type", "call"},
          {"id", m.id},
          {"session", m.session},
          {"cap", m.capability},
          {"args", m.args}};
  if (!m.profile.empty()) map.Set("profile", m.profile);
  return cbor::Encode(map);
}

cbor::Bytes Encode(const CallReply& m) {
  Map map{{"type", "result"},
          {"id", m.id},
          {"code", Number(m.code)},
          {"ok", m.ok},
          {"data", m.data},
          {"seq", m.seq},
          {"outcome_seq", m.outcome_seq},
          {"verdict", m.verdict},
          {"rule", Clip(m.rule, kMaxMessageBytes / 2)},
          {"message", Clip(m.message)},
          {"next", Clip(m.next, kMaxMessageBytes / 2)},
          {"exposure", ToArray(m.exposure)},
          {"truncated", m.truncated},
          {"bytes", m.bytes}};
  cbor::Bytes bytes = cbor::Encode(map);
  if (bytes.size() <= kMaxPacket) return bytes;
  map.Set("data", Value());
  map.Set("truncated", true);
  return cbor::Encode(map);
}

cbor::Bytes Encode(const StatusRequest&) { return cbor::Encode(Map{{"type", "status"}}); }

cbor::Bytes Encode(const StatusReply& m) {
  return cbor::Encode(Map{{"type", "status"},
                          {"pid", m.pid},
                          {"mode", m.mode},
                          {"release", m.release},
                          {"uptime_ms", m.uptime_ms},
                          {"clients", m.clients},
                          {"sessions", m.sessions},
                          {"calls_in_flight", m.calls_in_flight},
                          {"calls_waiting", m.calls_waiting},
                          {"calls_total", m.calls_total},
                          {"audit", m.audit},
                          {"sandbox", m.sandbox},
                          {"ceiling", m.ceiling},
                          {"degraded", ToArray(m.degraded)},
                          {"policy_epoch", m.policy_epoch},
                          {"policies", ToArray(m.policies)}});
}

cbor::Bytes Encode(const CheckpointRequest&) { return cbor::Encode(Map{{"type", "checkpoint"}}); }

cbor::Bytes Encode(const CheckpointReply& m) {
  return cbor::Encode(Map{{"type", "checkpoint"}, {"size", m.size}});
}

cbor::Bytes Encode(const ReloadRequest&) { return cbor::Encode(Map{{"type", "reload"}}); }

cbor::Bytes Encode(const ReloadReply& m) {
  return cbor::Encode(Map{{"type", "reloaded"},
                          {"epoch", m.epoch},
                          {"policies", ToArray(m.policies)},
                          {"narrowed", m.narrowed},
                          {"kept", m.kept},
                          {"closed", m.closed}});
}

cbor::Bytes Encode(const StopRequest&) { return cbor::Encode(Map{{"type", "stop"}}); }
cbor::Bytes Encode(const StopReply&) { return cbor::Encode(Map{{"type", "stopping"}}); }

cbor::Bytes Encode(const ErrorReply& m) {
  return cbor::Encode(
      Map{{"type", "error"}, {"code", Number(m.code)}, {"message", Clip(m.message)}});
}

Result<HelloRequest> DecodeHelloRequest(const Value& value) {
  MapReader r = Open(value, "hello");
  HelloRequest m{.version = r.Uint("version")};
  KRUX_TRY(r.Finish());
  return m;
}

Result<HelloReply> DecodeHelloReply(const Value& value) {
  MapReader r = Open(value, "hello");
  HelloReply m;
  m.version = r.Uint("version");
  MapReader gateway(r.Any("gateway"), "hello.gateway");
  KRUX_TRY(r.Finish());
  m.pid = gateway.Uint("pid");
  m.mode = gateway.Text("mode", kMaxNameBytes);
  m.release = gateway.Text("release", kMaxNameBytes);
  const cbor::Array degraded = gateway.List("degraded", kMaxNames);
  KRUX_TRY(gateway.Finish());
  m.degraded = KRUX_TRY(Names(degraded, "degraded"));
  return m;
}

Result<OpenRequest> DecodeOpenRequest(const Value& value) {
  MapReader r = Open(value, "open");
  OpenRequest m;
  if (r.Has("profile")) m.profile = r.Text("profile", kMaxProfileBytes);
  KRUX_TRY(r.Finish());
  return m;
}

Result<OpenReply> DecodeOpenReply(const Value& value) {
  MapReader r = Open(value, "opened");
  OpenReply m{.session = r.Fixed("session", kSessionIdBytes),
              .work = r.Text("work", kMaxPathBytes),
              .profile = r.Text("profile", kMaxProfileBytes),
              .degraded = {}};
  const cbor::Array degraded = r.List("degraded", kMaxNames);
  KRUX_TRY(r.Finish());
  m.degraded = KRUX_TRY(Names(degraded, "degraded"));
  return m;
}

Result<CallRequest> DecodeCallRequest(const Value& value) {
  MapReader r = Open(value, "call");
  CallRequest m{.id = r.Uint("id"),
                .session = r.Fixed("session", kSessionIdBytes),
                .capability = r.Text("cap", kMaxCapabilityBytes),
                .args = r.Any("args"),
                .profile = {}};
  if (r.Has("profile")) m.profile = r.Text("profile", kMaxProfileBytes);
  KRUX_TRY(r.Finish());
  return m;
}

Result<CallReply> DecodeCallReply(const Value& value) {
  MapReader r = Open(value, "result");
  CallReply m;
  m.id = r.Uint("id");
  m.code = CodeFromNumber(r.Uint("code", 255));
  m.ok = r.Boolean("ok");
  m.data = r.Any("data");
  m.seq = r.Uint("seq");
  m.outcome_seq = r.Uint("outcome_seq");
  m.verdict = r.Text("verdict", kMaxNameBytes);
  m.rule = r.Text("rule", kMaxMessageBytes);
  m.message = r.Text("message", kMaxMessageBytes);
  m.next = r.Text("next", kMaxMessageBytes);
  const cbor::Array exposure = r.List("exposure", kMaxNames);
  m.truncated = r.Boolean("truncated");
  m.bytes = r.Uint("bytes");
  KRUX_TRY(r.Finish());
  m.exposure = KRUX_TRY(Names(exposure, "exposure"));
  return m;
}

Result<StatusRequest> DecodeStatusRequest(const Value& value) {
  MapReader r = Open(value, "status");
  KRUX_TRY(r.Finish());
  return StatusRequest{};
}

Result<StatusReply> DecodeStatusReply(const Value& value) {
  MapReader r = Open(value, "status");
  StatusReply m;
  m.pid = r.Uint("pid");
  m.mode = r.Text("mode", kMaxNameBytes);
  m.release = r.Text("release", kMaxNameBytes);
  m.uptime_ms = r.Uint("uptime_ms");
  m.clients = r.Uint("clients");
  m.sessions = r.Uint("sessions");
  m.calls_in_flight = r.Uint("calls_in_flight");
  m.calls_waiting = r.Uint("calls_waiting");
  m.calls_total = r.Uint("calls_total");
  m.audit = r.Text("audit", kMaxNameBytes);
  m.sandbox = r.Text("sandbox", kMaxNameBytes);
  m.ceiling = r.Text("ceiling", kMaxProfileBytes);
  const cbor::Array degraded = r.List("degraded", kMaxNames);
  m.policy_epoch = r.Uint("policy_epoch");
  const cbor::Array policies = r.List("policies", kMaxNames);
  KRUX_TRY(r.Finish());
  m.degraded = KRUX_TRY(Names(degraded, "degraded"));
  m.policies = KRUX_TRY(Names(policies, "policies"));
  return m;
}

Result<CheckpointRequest> DecodeCheckpointRequest(const Value& value) {
  MapReader r = Open(value, "checkpoint");
  KRUX_TRY(r.Finish());
  return CheckpointRequest{};
}

Result<CheckpointReply> DecodeCheckpointReply(const Value& value) {
  MapReader r = Open(value, "checkpoint");
  CheckpointReply m{.size = r.Uint("size")};
  KRUX_TRY(r.Finish());
  return m;
}

Result<ReloadRequest> DecodeReloadRequest(const Value& value) {
  MapReader r = Open(value, "reload");
  KRUX_TRY(r.Finish());
  return ReloadRequest{};
}

Result<ReloadReply> DecodeReloadReply(const Value& value) {
  MapReader r = Open(value, "reloaded");
  ReloadReply m;
  m.epoch = r.Uint("epoch");
  const cbor::Array policies = r.List("policies", kMaxNames);
  m.narrowed = r.Uint("narrowed");
  m.kept = r.Uint("kept");
  m.closed = r.Uint("closed");
  KRUX_TRY(r.Finish());
  m.policies = KRUX_TRY(Names(policies, "policies"));
  return m;
}

Result<StopRequest> DecodeStopRequest(const Value& value) {
  MapReader r = Open(value, "stop");
  KRUX_TRY(r.Finish());
  return StopRequest{};
}

Result<StopReply> DecodeStopReply(const Value& value) {
  MapReader r = Open(value, "stopping");
  KRUX_TRY(r.Finish());
  return StopReply{};
}

Result<ErrorReply> DecodeErrorReply(const Value& value) {
  MapReader r = Open(value, "error");
  ErrorReply m{.code = CodeFromNumber(r.Uint("code", 255)),
               .message = r.Text("message", kMaxMessageBytes)};
  KRUX_TRY(r.Finish());
  return m;
}

}  // namespace krux::gateway
