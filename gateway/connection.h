// Connection: one client at one door of the gateway. Packets in, packets out, never blocking; what
// it says is judged by Gateway.
//
//   Connection connection(loop, id, Door::kAgentDoor, std::move(channel));
//   KRUX_TRY(connection.Start({.may_read = …, .on_packet = …, .on_bad_packet = …, .on_gone = …}));
//   connection.Send(Encode(reply), std::move(memfd), bytes);
#pragma once

#include <functional>
#include <string>

#include "base/channel.h"
#include "base/event_loop.h"
#include "gateway/allowance.h"
#include "gateway/outbox.h"
#include "gateway/protocol.h"

namespace krux::gateway {

class Connection {
 public:
  Connection(EventLoop& loop, uint64_t id, Door door, Channel channel, Allowance frames);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  struct Callbacks {
    // Asked before each packet; no means a pause until Resume().
    std::function<bool()> may_read;
    std::function<void(Packet)> on_packet;
    // A packet that was too long or carried too many descriptors; the framing is intact.
    std::function<void(const Error&)> on_bad_packet;
    // The peer closed. Runs once; destroy the connection later, not from inside.
    std::function<void()> on_gone;
  };
  // SO_PEERCRED and the first read.
  Result<void> Start(Callbacks callbacks);

  void Send(cbor::Bytes packet, UniqueFd fd = {}, uint64_t size = 0);
  // Back-pressure: a paused connection is not read, and its sender blocks.
  void Resume();
  // Stops reading and says on_gone.
  void Drop();

  uint64_t id() const { return id_; }
  Door door() const { return door_; }
  const PeerCredentials& peer() const { return peer_; }
  bool paused() const { return paused_; }
  bool gone() const { return gone_; }
  // Answers that the socket did not take yet.
  size_t unsent() const { return outbox_.waiting(); }
  // Bytes of results that the peer has been sent and did not read: they are this machine's memory.
  // A result counts as kLeastUnread at least, for its descriptor.
  uint64_t Unread();
  static constexpr uint64_t kLeastUnread = 512 * 1024;

  ConnectionState state = ConnectionState::kNew;
  bool turned_away = false;     // over the limit: told so, waits for its own end
  bool opening = false;         // an `open` waits for its answer
  size_t outstanding = 0;       // calls without an answer
  uint64_t hello_by_ns = 0;     // when a new one, or one that was turned away, has to go
  uint64_t unread_counted = 0;  // of Unread(), what its agent's sum holds
  Allowance frames;

 private:
  void OnReadable();
  void Pause();
  EventLoop& loop_;
  uint64_t id_;
  Door door_;
  Channel channel_;
  Outbox outbox_;
  PeerCredentials peer_;
  Callbacks callbacks_;
  EventSource readable_;
  uint64_t unread_ = 0;
  bool paused_ = false;
  bool gone_ = false;
};

}  // namespace krux::gateway
