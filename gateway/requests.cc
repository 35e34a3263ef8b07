// The handlers of the protocol table (KRUX_REQUESTS): what each request of a client does.
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.h"
#include "gateway/call_records.h"
#include "gateway/gateway.h"
#include "gateway/stop_point.h"

namespace krux::gateway {
namespace {

constexpr uint64_t kNsPerMs = 1'000'000;

// What can be read of a call frame that is malformed, so that it is recorded like any refused call.
CallRequest Remains(const cbor::Value& value) {
  CallRequest call;
  const cbor::Map& map = *value.map();
  const auto text = [&map](const char* key) {
    const cbor::Value* found = map.Find(key);
    return found != nullptr && found->text() != nullptr ? *found->text() : std::string();
  };
  if (const cbor::Value* id = map.Find("id"); id != nullptr && id->uint() != nullptr)
    call.id = *id->uint();
  const cbor::Value* session = map.Find("session");
  const bool fits = session != nullptr && session->bytes() != nullptr &&
                    session->bytes()->size() == kSessionIdBytes;
  call.session = fits ? *session->bytes() : cbor::Bytes(kSessionIdBytes);
  call.capability = Clip(text("cap"), kMaxCapabilityBytes);
  if (const cbor::Value* args = map.Find("args"); args != nullptr) call.args = *args;
  return call;
}

}  // namespace

void Gateway::OnHello(Connection& connection, const cbor::Value& value, Packet&) {
  const auto hello = DecodeHelloRequest(value);
  if (!hello) return ReplyError(connection, hello.error());
  if (hello->version != kProtocolVersion) {
    return ReplyError(
        connection,
        {ExitCode::kBadData, 0, "hello",
         "version " + std::to_string(hello->version) +
             " of the protocol is not spoken here; use the krux that belongs to this gateway"});
  }
  connection.state = ConnectionState::kReady;
  Reply(connection, Encode(HelloReply{.version = kProtocolVersion,
                                      .pid = static_cast<uint64_t>(getpid()),
                                      .mode = settings_.mode,
                                      .release = KRUX_VERSION,
                                      .degraded = settings_.degraded}));
}

// The client's end of the socketpair goes on unread: only krux-mountd takes WORK out of it.
void Gateway::OnOpen(Connection& connection, const cbor::Value& value, Packet& packet) {
  const auto request = DecodeOpenRequest(value);
  if (!request) return ReplyError(connection, request.error());
  const std::string profile = request->profile.empty() ? "read_only" : request->profile;
  // The name is judged before anybody works for it.
  if (const auto known = EffectivePolicy(settings_.policies, settings_.ceiling, profile); !known) {
    return ReplyError(connection, known.error());
  }
  if (audit_.gone()) {
    return ReplyError(connection, {ExitCode::kAudit, 0, "open",
                                   "the log cannot be written: krux-auditd is gone; nothing ran"});
  }
  const auto ticket =
      opens_line_.Enter({AgentOf(connection.peer()), std::to_string(connection.id())});
  if (!ticket) {
    ++turned_away_.opens;
    return ReplyError(connection,
                      {ExitCode::kBusy, 0, "open", "too many sessions are being opened; retry"});
  }
  StopPoint("open");
  connection.opening = true;
  opens_[next_tag_++] = {
      connection.id(), profile, clock_.MonotonicNs() + settings_.limits.bounds.open_ms * kNsPerMs,
      *ticket,         0,       std::move(packet.fds[0])};
  PumpOpens();
}

// krux-mountd checks one WORK after the other: each agent, and each of its clients, in turn.
void Gateway::PumpOpens() {
  while (const auto ticket = opens_line_.Next([](uint64_t) { return true; })) {
    const auto open = std::ranges::find_if(
        opens_, [&](const auto& entry) { return entry.second.ticket == *ticket; });
    open->second.asked_ns = clock_.MonotonicNs();
    if (auto sent = spawn_.OpenWork(open->first, std::move(open->second.socket)); !sent) {
      OnWorkRefused(open->first, sent.error());
    }
  }
}

void Gateway::FinishOpen(std::map<uint64_t, PendingOpen>::iterator open) {
  opens_line_.Done(open->second.ticket);
  if (Connection* connection = Find(open->second.connection)) {
    connection->opening = false;
    if (connection->paused() && MayRead(*connection)) connection->Resume();
  }
  opens_.erase(open);
}

void Gateway::ExpireOpens(uint64_t now_ns) {
  std::vector<uint64_t> waited, unchecked;
  for (const auto& [tag, open] : opens_) {
    if (open.deadline_ns <= now_ns) (open.socket.valid() ? waited : unchecked).push_back(tag);
  }
  for (const uint64_t tag : waited) {
    ++turned_away_.opens;
    OnWorkRefused(tag, {ExitCode::kBusy, 0, "open", "its turn did not come in time; retry"});
  }
  for (const uint64_t tag : unchecked) {
    const uint64_t asked = opens_.at(tag).asked_ns;
    if (mount_heard_ns_ < asked) Silent(spawn_heard_ns_ < asked ? "krux-spawnd" : "krux-mountd");
    OnWorkRefused(tag, {ExitCode::kSandbox, 0, "open",
                        "the work directory was not checked in time; nothing ran"});
  }
}

void Gateway::OnCall(Connection& connection, const cbor::Value& value, Packet& packet) {
  ++connection.outstanding;
  auto request = DecodeCallRequest(value);
  if (request) {
    auto session = sessions_.Find(request->session, connection.peer().uid);
    UniqueFd input = packet.fds.empty() ? UniqueFd() : std::move(packet.fds[0]);
    pipeline_.Begin(connection.id(), connection.peer(), std::move(session), std::move(*request),
                    std::move(input));
  } else {
    pipeline_.Refuse(connection.id(), connection.peer(), Remains(value), request.error());
  }
}

void Gateway::OnStatus(Connection& connection, const cbor::Value& value, Packet&) {
  if (const auto request = DecodeStatusRequest(value); !request)
    return ReplyError(connection, request.error());
  Reply(connection, Encode(StatusReply{
                        .pid = static_cast<uint64_t>(getpid()),
                        .mode = settings_.mode,
                        .release = KRUX_VERSION,
                        .uptime_ms = (clock_.MonotonicNs() - started_ns_) / kNsPerMs,
                        .clients = connections_.size(),
                        .sessions = sessions_.size(),
                        .calls_in_flight = pipeline_.in_flight(),
                        .calls_waiting = pipeline_.waiting(),
                        .calls_total = pipeline_.answered(),
                        .audit = audit_.gone()     ? "gone"
                                 : audit_.silent() ? "silent"
                                                   : "ok",
                        .sandbox = spawn_.gone() ? "gone" : "ok",
                        .ceiling = settings_.ceiling,
                        .degraded = settings_.degraded,
                        .policy_epoch = pipeline_.policy_epoch(),
                        .policies = settings_.policies.OperatorNames(),
                    }));
}

void Gateway::OnCheckpoint(Connection& connection, const cbor::Value& value, Packet&) {
  if (const auto request = DecodeCheckpointRequest(value); !request)
    return ReplyError(connection, request.error());
  audit_.Checkpoint([this, id = connection.id()](const Appended& appended) {
    Connection* asker = Find(id);
    if (asker == nullptr || asker->gone() || appended.what == Appended::What::kLate) return;
    if (appended.what == Appended::What::kDurable) {
      Reply(*asker, Encode(CheckpointReply{.size = appended.seq}));
    } else {
      ReplyError(*asker, {ExitCode::kAudit, 0, "checkpoint",
                          "no checkpoint could be signed: " + appended.error});
    }
  });
}

void Gateway::OnStop(Connection& connection, const cbor::Value& value, Packet&) {
  if (const auto request = DecodeStopRequest(value); !request)
    return ReplyError(connection, request.error());
  Reply(connection, Encode(StopReply{}));
  if (reports_.on_stop) reports_.on_stop();
}

void Gateway::OnSpawnEvent(sandbox::Event event) {
  spawn_heard_ns_ = clock_.MonotonicNs();
  if (const auto* opened = std::get_if<sandbox::WorkOpened>(&event)) {
    mount_heard_ns_ = spawn_heard_ns_;
    OnWorkOpened(*opened);
  } else if (const auto* failed = std::get_if<sandbox::Failed>(&event);
             failed != nullptr && failed->call_id.empty() && opens_.contains(failed->tag)) {
    mount_heard_ns_ = spawn_heard_ns_;
    OnWorkRefused(failed->tag, failed->error);
  } else {
    pipeline_.OnSpawnEvent(std::move(event));
    return;
  }
  PumpOpens();
}

void Gateway::OnWorkRefused(uint64_t tag, const Error& error) {
  const auto it = opens_.find(tag);
  if (it == opens_.end()) return;
  Connection* connection = Find(it->second.connection);
  FinishOpen(it);
  if (connection != nullptr && !connection->gone()) ReplyError(*connection, error);
}

void Gateway::OnWorkOpened(const sandbox::WorkOpened& opened) {
  StopPoint("opened");
  const auto it = opens_.find(opened.tag);
  if (it == opens_.end()) return;
  const std::string profile = it->second.profile;
  Connection* connection = Find(it->second.connection);
  FinishOpen(it);
  if (connection == nullptr || connection->gone()) return;
  // mountd read the maker of the socketpair from the socket; a socketpair of somebody else's would
  // make this peer act with that other's files.
  if (opened.uid != connection->peer().uid) {
    return ReplyError(*connection, {ExitCode::kDenied, 0, "open",
                                    "the work directory was handed over by another user"});
  }
  const auto session = OpenSession(opened, profile);
  if (!session) {
    if (session.error().code == ExitCode::kBusy) ++turned_away_.opens;
    return ReplyError(*connection, session.error());
  }
  Reply(*connection, Encode(OpenReply{.session = (*session)->id,
                                      .work = (*session)->work,
                                      .profile = (*session)->key.profile,
                                      .degraded = settings_.degraded}));
}

}  // namespace krux::gateway
