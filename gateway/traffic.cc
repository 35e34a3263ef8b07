// Who is read and when, what is reaped, and the tick that notices deadlines.
#include <sys/epoll.h>

#include <utility>
#include <vector>

#include "base/log.h"
#include "gateway/gateway.h"

namespace krux::gateway {
namespace {

constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kMib = 1 << 20;
constexpr uint64_t kConnectionsShare = 4;  // of its agent's unread results
constexpr uint64_t kTurnedAwayEveryNs = 1'000'000'000;

}  // namespace

uint64_t Gateway::CountUnread(Connection& connection) {
  uint64_t& of_agent = agents_[connection.peer().uid].unread;
  of_agent -= connection.unread_counted;
  connection.unread_counted = connection.Unread();
  of_agent += connection.unread_counted;
  return connection.unread_counted;
}

// INVARIANT: a connection with unread results is never closed from this side. Its queue would live
// on with the client, and a client that connects again and again would hold results without end.
bool Gateway::ReadsItsResults(Connection& connection) {
  const uint64_t unread = CountUnread(connection);
  if (unread == 0) return true;
  const uint64_t bound = settings_.limits.bounds.unread_mib_per_agent * kMib;
  return unread < bound / kConnectionsShare && agents_[connection.peer().uid].unread < bound;
}

bool Gateway::MayBegin(uint64_t id) {
  Connection* connection = Find(id);
  return connection == nullptr || ReadsItsResults(*connection);
}

// One packet of `connection`. What it says no to stays in the socket, and its sender waits.
bool Gateway::MayRead(Connection& connection) {
  const uint64_t now = clock_.MonotonicNs();
  const bool may = connection.outstanding < settings_.limits.bounds.unanswered_per_connection &&
                   !connection.opening && connection.unsent() == 0 &&
                   !connection.frames.Overdrawn(now) && ReadsItsResults(connection) &&
                   !(pipeline_.full() && !audit_.silent()) &&
                   !pipeline_.Exhausted(connection.peer().uid, now);
  if (!may) ArmTick();
  return may;
}

void Gateway::ReapLater() {
  if (reap_.active()) return;
  auto deferred = loop_.AddDefer([this] { Reap(); });
  if (deferred) reap_ = std::move(*deferred);
}

void Gateway::Reap() {
  reap_.Reset();
  std::vector<uint64_t> gone;
  for (const auto& [id, connection] : connections_) {
    if (connection->gone()) gone.push_back(id);
  }
  for (const uint64_t id : gone) {
    pipeline_.OnClientGone(id);
    for (auto open = opens_.begin(); open != opens_.end();) {
      const auto next = std::next(open);
      if (open->second.connection == id && open->second.socket.valid()) FinishOpen(open);
      open = next;
    }
    const Connection& connection = *connections_.at(id);
    const auto agent = agents_.find(connection.peer().uid);
    agent->second.unread -= connection.unread_counted;
    if (--agent->second.connections == 0) agents_.erase(agent);
    connections_.erase(id);
  }
  if (connections_.empty() && reports_.on_clients) reports_.on_clients(0);
}

// A timer that exists only while something has a deadline.
void Gateway::ArmTick() {
  if (tick_.active()) return;
  auto timer = loop_.AddTimer(settings_.tick_us, [this] { Tick(); });
  if (!timer) return;
  tick_ = std::move(*timer);
  tick_.GoFirst();  // a deadline that is noticed when the flood is over is none
}

void Gateway::Tick() {
  tick_.Reset();
  audit_.Expire();
  pipeline_.Tick();
  const uint64_t now = clock_.MonotonicNs();
  ExpireOpens(now);
  ExpireReloads(now);
  PumpOpens();
  const bool watched = TickConnections(now);
  RecordTurnedAway(now);
  WatchDaemons(now);
  if (std::exchange(accept_paused_, false)) {
    for (size_t i = 0; i < listeners_.size(); ++i) {
      auto source =
          loop_.AddIo(listeners_[i].fd.get(), EPOLLIN, [this, i](uint32_t) { OnAccept(i); });
      if (source) listeners_[i].source = std::move(*source);
    }
  }
  if (stopping_ != Stopping::kNo) TickStop();
  const bool stop_pending = stopping_ != Stopping::kNo && stopped_ != nullptr;
  if (watched || stop_pending || !opens_.empty() || !reloads_.empty() || audit_.pending() > 0 ||
      pipeline_.flows() > 0 || turned_away_ != TurnedAway{}) {
    ArmTick();
  }
}

bool Gateway::TickConnections(uint64_t now_ns) {
  bool watched = false;
  for (const auto& [id, owned] : connections_) {
    Connection& connection = *owned;
    if (connection.gone()) continue;
    const bool hello = connection.state == ConnectionState::kNew || connection.turned_away;
    if (hello && connection.hello_by_ns <= now_ns) {
      if (!connection.turned_away) {
        ReplyError(connection, {ExitCode::kTimeout, 0, "hello", "no `hello` came in time"});
      }
      connection.Drop();
      continue;
    }
    if (connection.paused() && MayRead(connection)) connection.Resume();
    watched |= hello || connection.paused();
  }
  return watched;
}

void Gateway::Silent(const char* daemon) {
  if (silent_.insert(daemon).second && reports_.on_silent) reports_.on_silent(daemon);
}

// An answer that is overdue is no proof, a machine may be slow; that nothing at all was heard since
// the question is.
void Gateway::WatchDaemons(uint64_t now_ns) {
  const uint64_t append = audit_.oldest_ns();
  if (append != 0 && now_ns > append + kSilentMs * kNsPerMs) Silent("krux-auditd");
  const uint64_t setup = pipeline_.TakeOverdueSetup();
  if (setup != 0 && spawn_heard_ns_ < setup) Silent("krux-spawnd");
}

// At most one record a second, however many were turned away.
void Gateway::RecordTurnedAway(uint64_t now_ns) {
  turned_away_.calls += pipeline_.TakeDropped();
  if (turned_away_ == TurnedAway{} || now_ns < turned_away_recorded_ns_ + kTurnedAwayEveryNs)
    return;
  turned_away_recorded_ns_ = now_ns;
  const TurnedAway counts = std::exchange(turned_away_, {});
  audit_.Append(audit::AdminDraft("turned away", cbor::Map{{"connections", counts.connections},
                                                           {"opens", counts.opens},
                                                           {"calls", counts.calls}}),
                [](const Appended&) {});
}

}  // namespace krux::gateway
