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

namespace krux::gateway {

struct GatewaySettings {
  std::string mode = "embedded";      // "embedded", "rootless" or "service"
  std::optional<uid_t> only_uid;      // embedded: nobody else is served
  std::string ceiling = "local_dev";  // widest profile
  std::vector<std::string> degraded;  // names of limits.degraded
  uint64_t append_deadline_ms = 5'000;
  uint64_t open_deadline_ms = 15'000;  // mountd's check of a WORK
  uint64_t stop_deadline_ms = 3'000;   // for calls, then once more for the log
  uint64_t tick_us = 50'000;           // how late a deadline may be noticed
  size_t max_connections = 1'500;
  size_t max_sessions = 256;
  size_t calls_per_connection = 16;  // unanswered; then the connection is not read
  cbor::Map started;                 // details of the record "gateway started"
  Pipeline::Limits limits;
};

class Gateway {
 public:
  Gateway(EventLoop& loop, const Clock& clock, Random& random, Channel audit, Channel spawn,
          GatewaySettings settings);
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // Begins to listen to krux-auditd and krux-spawnd and records the start; `on_recorded` runs when
  // that record is durable.
  Result<void> Start(const std::function<void()>& on_recorded = {});
  // A listening socket, or (tests) one that is connected already.
  Result<void> Listen(UniqueFd listener, Door door);
  void Adopt(Channel channel, Door door);
  // `on_clients`: the number of connections became, or ceased to be, zero. `on_stop`: an operator
  // asks for the end.
  void Report(std::function<void(size_t)> on_clients, std::function<void()> on_stop);

  // Ends every call and session, records it, then runs `stopped`; bounded in time.
  void Stop(std::function<void()> stopped);

  size_t connections() const { return connections_.size(); }
  size_t sessions() const { return sessions_.size(); }

 private:
  struct PendingOpen {
    uint64_t connection = 0;
    std::string profile;
    uint64_t deadline_ns = 0;
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
  void OnStop(Connection& connection, const cbor::Value& value, Packet& packet);

  void OnSpawnEvent(sandbox::Event event);
  void OnWorkOpened(const sandbox::WorkOpened& opened);
  void OnWorkRefused(uint64_t tag, const Error& error);
  Result<std::shared_ptr<Session>> OpenSession(const sandbox::WorkOpened& opened,
                                               const std::string& profile);
  void RecordOpening(const std::shared_ptr<Session>& session, const sandbox::WorkOpened& opened);
  void RecordPolicy(const Session& session);
  void Answer(uint64_t connection, const CallReply& reply, UniqueFd result);
  void Reply(Connection& connection, cbor::Bytes packet);
  void ReplyError(Connection& connection, const Error& error);
  Connection* Find(uint64_t id);
  bool MustPause(const Connection& connection) const;
  void ReapLater();
  void ArmTick();
  void Tick();
  void TickStop();

  EventLoop& loop_;
  const Clock& clock_;
  GatewaySettings settings_;
  AuditLink audit_;
  SpawnLink spawn_;
  SessionTable sessions_;
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
  uint64_t next_tag_ = 1;
  std::set<cbor::Bytes> stored_policies_;

  EventSource tick_;
  EventSource reap_;
  std::function<void(size_t)> on_clients_;
  std::function<void()> on_stop_;
  enum class Stopping : uint8_t { kNo, kCalls, kLog } stopping_ = Stopping::kNo;
  uint64_t stop_deadline_ns_ = 0;
  std::function<void()> stopped_;
};

}  // namespace krux::gateway
