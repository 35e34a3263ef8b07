#include "gateway/gateway.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "base/log.h"
#include "gateway/call_records.h"

namespace krux::gateway {
namespace {

constexpr uint64_t kNsPerMs = 1'000'000;
constexpr size_t kTurnedAwayAtMost = 64;  // beyond them a connection is closed without a word
constexpr int kAcceptsPerTurn = 32;

}  // namespace

Gateway::Gateway(EventLoop& loop, const Clock& clock, Random& random, Channel audit, Channel spawn,
                 GatewaySettings settings)
    : loop_(loop),
      clock_(clock),
      settings_(std::move(settings)),
      audit_(loop, clock, std::move(audit), settings_.limits.bounds.append_ms),
      spawn_(loop, std::move(spawn)),
      sessions_(random, settings_.limits.bounds.sessions),
      restore_(audit_),
      pipeline_(
          clock, random, audit_, spawn_, settings_.limits,
          [this](uint64_t connection, const CallReply& reply, UniqueFd result) {
            Answer(connection, reply, std::move(result));
          },
          [this](uint64_t connection) { return MayBegin(connection); }),
      started_ns_(clock.MonotonicNs()),
      opens_line_({{settings_.limits.bounds.opens, settings_.limits.bounds.opens_waiting},
                   {settings_.limits.bounds.opens, settings_.limits.bounds.opens_waiting}}) {}

Result<void> Gateway::Start(const std::function<void(bool)>& on_started) {
  KRUX_TRY(audit_.Start([this] {
    Log(LogLevel::kError, "kruxd", "krux-auditd is gone: every call ends with 74");
    pipeline_.OnAuditGone();
  }));
  KRUX_TRY(spawn_.Start([this](sandbox::Event event) { OnSpawnEvent(std::move(event)); },
                        [this] {
                          Log(LogLevel::kError, "kruxd", "krux-spawnd is gone: no call can run");
                          pipeline_.OnSpawnGone();
                        }));
  restore_.Run([this, on_started](Result<Restored> restored) {
    if (!restored) {
      Log(LogLevel::kError, "kruxd", restored.error().message);
      if (reports_.on_unable && !audit_.gone()) reports_.on_unable(restored.error());
      return;
    }
    for (KeptSession& session : restored->sessions) sessions_.Keep(std::move(session));
    for (const auto& [work, labels] : restored->labels)
      pipeline_.labels().Restore(work, cbor::Array(labels.begin(), labels.end()));
    BeginEpoch(restored->policy_epoch, restored->policies);
    RecordStart(sessions_.kept().size(), on_started);
  });
  ArmTick();
  return {};
}

void Gateway::RecordStart(size_t kept, const std::function<void(bool)>& on_started) {
  cbor::Map started = settings_.started;
  started.Set("sessions", uint64_t{kept});
  started.Set("policies", PoliciesInRecord());
  audit_.Append(audit::AdminDraft("gateway started", std::move(started)),
                [this, on_started](const Appended& appended) {
                  const bool durable =
                      appended.what != Appended::What::kSilent && appended.error.empty();
                  if (!durable)
                    Log(LogLevel::kError, "kruxd",
                        "the start of the gateway could not be recorded: " + appended.error);
                  if (on_started && !audit_.gone()) on_started(durable);
                });
}

Result<void> Gateway::Listen(UniqueFd listener, Door door) {
  const size_t index = listeners_.size();
  listeners_.push_back({std::move(listener), door, {}});
  listeners_[index].source = KRUX_TRY(loop_.AddIo(listeners_[index].fd.get(), EPOLLIN,
                                                  [this, index](uint32_t) { OnAccept(index); }));
  return {};
}

void Gateway::Report(Reports reports) { reports_ = std::move(reports); }

void Gateway::OnAccept(size_t index) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    const int fd =
        accept4(listeners_[index].fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      Adopt(Channel(UniqueFd(fd)), listeners_[index].door);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN) return;
    // Out of descriptors or memory: the pending connection would wake us forever. Try at the next
    // tick.
    accept_paused_ = true;
    for (Listener& listener : listeners_) listener.source.Reset();
    ArmTick();
    return;
  }
}

void Gateway::Adopt(Channel channel, Door door) {
  const Bounds& bounds = settings_.limits.bounds;
  if (connections_.size() >= bounds.connections + kTurnedAwayAtMost) {
    ++turned_away_.connections;
    return;
  }
  const uint64_t id = next_connection_++;
  const uint64_t now = clock_.MonotonicNs();
  auto owned = std::make_unique<Connection>(loop_, id, door, std::move(channel),
                                            Allowance(bounds.frames_per_second, now));
  Connection& connection = *owned;
  const bool first = connections_.empty();
  connections_[id] = std::move(owned);
  auto started = connection.Start({
      .may_read = [this, &connection] { return MayRead(connection); },
      .on_packet = [this, &connection](Packet packet) { OnPacket(connection, std::move(packet)); },
      .on_bad_packet =
          [this, &connection](const Error& error) {
            connection.frames.Spend(clock_.MonotonicNs());
            ReplyError(connection, error);
          },
      .on_gone = [this] { ReapLater(); },
  });
  if (!started) {
    connections_.erase(id);
    return;
  }
  connection.hello_by_ns = now + bounds.hello_ms * kNsPerMs;
  const uint64_t of_agent = ++agents_[connection.peer().uid].connections;
  if (first && reports_.on_clients) reports_.on_clients(connections_.size());
  if (settings_.only_uid.has_value() && connection.peer().uid != *settings_.only_uid) {
    TurnAway(connection, {ExitCode::kDenied, 0, "peer",
                          "this gateway serves another user; start one of your own"});
  } else if (connections_.size() > bounds.connections || of_agent > bounds.connections_per_agent) {
    TurnAway(connection, {ExitCode::kBusy, 0, "accept", "there are too many connections; retry"});
  }
  ArmTick();
}

// Left open until the client closes it: a close with its hello unread would be a reset instead of
// this answer (unix(7), ECONNRESET).
void Gateway::TurnAway(Connection& connection, const Error& error) {
  ++turned_away_.connections;
  connection.turned_away = true;
  ReplyError(connection, error);
}

void Gateway::OnPacket(Connection& connection, Packet packet) {
  connection.frames.Spend(clock_.MonotonicNs());
  if (connection.turned_away) return;
  if (stopping_ != Stopping::kNo) {
    return ReplyError(connection,
                      {ExitCode::kUnreachable, 0, "stop", "the gateway is stopping; retry"});
  }
  auto value = cbor::Decode(packet.bytes);
  if (!value) return ReplyError(connection, value.error());
  auto type = MessageTypeOf(*value);
  if (!type) return ReplyError(connection, type.error());
  const RequestRule* rule = FindRequest(*type);
  const auto refuse = [&](ExitCode code, std::string why) {
    ReplyError(connection, {code, 0, "protocol", "`" + Clip(*type, 64) + "` " + std::move(why)});
  };
  if (rule == nullptr) return refuse(ExitCode::kBadData, "is no request of this protocol");
  if ((rule->doors & connection.door()) == 0)
    return refuse(ExitCode::kDenied, "is not served at this socket");
  if (rule->state != connection.state) {
    return refuse(ExitCode::kBadData,
                  connection.state == ConnectionState::kNew ? "came before `hello`" : "came twice");
  }
  if (packet.fds.size() < rule->min_fds || packet.fds.size() > rule->max_fds) {
    return refuse(ExitCode::kBadData, "must carry " + DescriptorCount(*rule) + " descriptors");
  }
  Dispatch(connection, *rule, *value, std::move(packet));
  ArmTick();
}

void Gateway::Dispatch(Connection& connection, const RequestRule& rule, const cbor::Value& value,
                       Packet packet) {
  switch (rule.type) {
#define X(enumerator, name, doors, state, min_fds, max_fds, handler) \
  case RequestType::enumerator:                                      \
    return handler(connection, value, packet);
    KRUX_REQUESTS(X)
#undef X
  }
}

void Gateway::Reply(Connection& connection, cbor::Bytes packet) {
  connection.Send(std::move(packet));
}

void Gateway::ReplyError(Connection& connection, const Error& error) {
  Reply(connection, Encode(ErrorReply{.code = error.code, .message = error.message}));
}

void Gateway::Answer(uint64_t id, const CallReply& reply, UniqueFd result) {
  Connection* connection = Find(id);
  if (connection == nullptr || connection->gone()) return;
  if (connection->outstanding > 0) --connection->outstanding;
  connection->Send(Encode(reply), std::move(result), reply.bytes);
  if (connection->paused() && MayRead(*connection)) connection->Resume();
}

Connection* Gateway::Find(uint64_t id) {
  const auto it = connections_.find(id);
  return it == connections_.end() ? nullptr : it->second.get();
}

void Gateway::Stop(std::function<void()> stopped) {
  if (stopping_ != Stopping::kNo) return;
  stopped_ = std::move(stopped);
  stopping_ = Stopping::kCalls;
  stop_deadline_ns_ = clock_.MonotonicNs() + settings_.limits.bounds.stop_ms * kNsPerMs;
  listeners_.clear();
  pipeline_.CancelAll();
  ArmTick();
}

void Gateway::TickStop() {
  const bool late = clock_.MonotonicNs() >= stop_deadline_ns_;
  if (stopping_ == Stopping::kCalls && (pipeline_.flows() == 0 || late)) {
    audit_.Append(audit::AdminDraft("gateway stopped", cbor::Map{{"calls", pipeline_.answered()}}),
                  [](const Appended&) {});
    stopping_ = Stopping::kLog;
    stop_deadline_ns_ = clock_.MonotonicNs() + settings_.limits.bounds.stop_ms * kNsPerMs;
  } else if (stopping_ == Stopping::kLog && (audit_.pending() == 0 || late)) {
    const auto stopped = std::exchange(stopped_, nullptr);
    if (stopped) stopped();
  }
}

}  // namespace krux::gateway
