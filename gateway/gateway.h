// Gateway: kruxd without its main(): two doors, their connections, the sessions and the pipeline.
// Everything it needs is handed in, so that tests run a whole gateway in one process.
//
//   Gateway gateway(loop, SystemClock(), SystemRandom(), std::move(audit), std::move(spawn),
//   settings); KRUX_TRY(gateway.Start()); KRUX_TRY(gateway.Listen(std::move(gateway_listener),
//   Door::kAgentDoor)); loop.Run();
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gateway/connection.h"
#include "gateway/pipeline.h"
#include "gateway/protocol.h"
#include "gateway/restore.h"

namespace krux::gateway {

struct GatewaySettings {
  std::string mode = "embedded";      // "embedded", "rootless" or "service"
  std::optional<uid_t> only_uid;      // embedded: nobody else is served
  std::string ceiling = "local_dev";  // widest profile
  std::vector<std::string> degraded;  // names of limits.degraded
  uint64_t tick_us = 50'000;          // how late a deadline may be noticed
  cbor::Map started;                  // details of the record "gateway started"
  policy::PolicySet policies;         // the operator's beside the shipped ones
  Pipeline::Limits limits;
};

class Gateway {
 public:
  Gateway(EventLoop& loop, const Clock& clock, Random& random, Channel audit, Channel spawn,
          GatewaySettings settings);
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // Begins to listen to krux-auditd and krux-spawnd, asks for the sessions that are kept, and
  // records the start. `on_started` hears whether that record is durable, a second time where it
  // becomes so late, and nothing where krux-auditd is gone.
  Result<void> Start(const std::function<void(bool)>& on_started = {});
  // A listening socket, or (tests) one that is connected already.
  Result<void> Listen(UniqueFd listener, Door door);
  void Adopt(Channel channel, Door door);
  struct Reports {
    std::function<void(size_t)> on_clients;       // became, or ceased to be, zero
    std::function<void()> on_stop;                // an operator asks for the end
    std::function<void(const char*)> on_silent;   // a daemon answers nothing any more; once each
    std::function<void(const Error&)> on_unable;  // what the log carries cannot be read
    // The operator's policy files are to be read; Reload(tag, …) follows. False: nobody can.
    std::function<bool(uint64_t tag)> on_reload;
  };
  void Report(Reports reports);

  // The operator's policy files as they are now, or why they could not be read. All of them come
  // into force, or none, recorded either way: then the answer is the new epoch, or the mistake.
  // `tag` is that of on_reload; 0: nobody waits for an answer.
  Result<uint64_t> Reload(uint64_t tag, Result<std::vector<policy::PolicySource>> files);

  // Ends every call and session, records it, then runs `stopped`; bounded in time.
  void Stop(std::function<void()> stopped);

  size_t connections() const { return connections_.size(); }
  size_t sessions() const { return sessions_.size(); }
  // Of files, as the log has them and as calls leave them.
  runtime::LabelStore& labels() { return pipeline_.labels(); }

 private:
  // An `open` that waits for its turn, or (tag in opens_) for krux-mountd's answer.
  struct PendingOpen {
    uint64_t connection = 0;
    std::string profile;
    uint64_t deadline_ns = 0;
    uint64_t ticket = 0;
    uint64_t asked_ns = 0;  // when its turn came
    UniqueFd socket;        // until its turn comes
  };
  // What was turned away before it was a call, since the last record of it.
  struct TurnedAway {
    uint64_t connections = 0;
    uint64_t opens = 0;
    uint64_t calls = 0;
    bool operator==(const TurnedAway&) const = default;
  };

  void OnAccept(size_t listener);
  void OnPacket(Connection& connection, Packet packet);
  void OnConnectionGone(Connection& connection);
  void Dispatch(Connection& connection, const RequestRule& rule, const cbor::Value& value,
                Packet packet);
  // The handlers of KRUX_REQUESTS.
  void OnHello(Connection& connection, const cbor::Value& value, Packet& packet);
  void OnOpen(Connection& connection, const cbor::Value& value, Packet& packet);
  void OnCall(Connection& connection, const cbor::Value& value, Packet& packet);
  void OnStatus(Connection& connection, const cbor::Value& value, Packet& packet);
  void OnCheckpoint(Connection& connection, const cbor::Value& value, Packet& packet);
  void OnSessions(Connection& connection, const cbor::Value& value, Packet& packet);
  void OnEndSession(Connection& connection, const cbor::Value& value, Packet& packet);
  void OnStop(Connection& connection, const cbor::Value& value, Packet& packet);
  void OnReload(Connection& connection, const cbor::Value& value, Packet& packet);

  void OnSpawnEvent(sandbox::Event event);
  void OnWorkOpened(const sandbox::WorkOpened& opened);
  void OnWorkRefused(uint64_t tag, const Error& error);
  Result<std::shared_ptr<Session>> OpenSession(const sandbox::WorkOpened& opened,
                                               const std::string& profile);
  static Result<policy::Policy> RestrictPolicy(policy::Policy named,
                                               const std::vector<KeptSession>& kept);
  Result<std::shared_ptr<Session>> GoOn(const SessionKey& key, Opening opening,
                                        policy::Policy named, const std::vector<KeptSession>& kept);
  void RecordOpening(const std::shared_ptr<Session>& session, const std::vector<KeptSession>& kept);
  void RecordStart(size_t kept, const std::function<void(bool)>& on_started);
  void RecordPolicy(const Session& session);
  // gateway/reload.cc
  void BeginEpoch(uint64_t last, const cbor::Bytes& last_policies);
  cbor::Map PoliciesInRecord() const;
  Result<uint64_t> TakePolicies(const std::vector<policy::PolicySource>& files, uint64_t asker);
  ReloadReply FollowPolicies();
  void Follow(Session& session, const Result<policy::Policy>& named, ReloadReply& reply);
  void Withdraw(Session& session, const std::string& reason);
  void RecordChange(const Session& session, const char* event);
  void AnswerReload(uint64_t connection, const cbor::Bytes& packet);
  void ExpireReloads(uint64_t now_ns);
  void Answer(uint64_t connection, const CallReply& reply, UniqueFd result);
  void Reply(Connection& connection, cbor::Bytes packet);
  void ReplyError(Connection& connection, const Error& error);
  Connection* Find(uint64_t id);
  bool MayRead(Connection& connection);
  bool MayBegin(uint64_t connection);
  void TurnAway(Connection& connection, const Error& error);
  void PumpOpens();
  void FinishOpen(std::map<uint64_t, PendingOpen>::iterator open);
  void ExpireOpens(uint64_t now_ns);
  // Whether some connection needs another tick.
  bool TickConnections(uint64_t now_ns);
  void RecordTurnedAway(uint64_t now_ns);
  void Silent(const char* daemon);
  void WatchDaemons(uint64_t now_ns);
  // What this connection, and with it its agent, was sent and did not read; brought up to date.
  uint64_t CountUnread(Connection& connection);
  bool ReadsItsResults(Connection& connection);
  void ReapLater();
  void Reap();
  void ArmTick();
  void Tick();
  void TickStop();

  EventLoop& loop_;
  const Clock& clock_;
  GatewaySettings settings_;
  AuditLink audit_;
  SpawnLink spawn_;
  SessionTable sessions_;
  Restore restore_;
  Pipeline pipeline_;
  uint64_t started_ns_;

  struct Listener {
    UniqueFd fd;
    Door door = kAgentDoor;
    EventSource source;
  };
  std::vector<Listener> listeners_;
  bool accept_paused_ = false;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  uint64_t next_connection_ = 1;
  std::map<uint64_t, PendingOpen> opens_;  // by the tag of OpenWork
  Turnstile opens_line_;                   // of agents, connections
  uint64_t next_tag_ = 1;
  std::set<cbor::Bytes> stored_policies_;

  struct PendingReload {
    uint64_t connection = 0;
    uint64_t deadline_ns = 0;
  };
  std::map<uint64_t, PendingReload> reloads_;  // by tag
  uint64_t next_reload_ = 1;

  // What all connections of one uid have; gone with the last of them.
  struct Agent {
    uint64_t connections = 0;
    uint64_t unread = 0;  // bytes of results
  };
  std::map<uid_t, Agent> agents_;
  TurnedAway turned_away_;
  uint64_t turned_away_recorded_ns_ = 0;

  EventSource tick_;
  EventSource reap_;
  Reports reports_;
  std::set<std::string> silent_;  // daemons of which it was reported
  uint64_t spawn_heard_ns_ = 0;   // krux-spawnd said anything
  uint64_t mount_heard_ns_ = 0;   // it passed on what krux-mountd said of a WORK
  enum class Stopping : uint8_t { kNo, kCalls, kLog } stopping_ = Stopping::kNo;
  uint64_t stop_deadline_ns_ = 0;
  std::function<void()> stopped_;
};

}  // namespace krux::gateway
