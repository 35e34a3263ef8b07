// Connection: one client at one door of the gateway. Packets in, packets out, never blocking; what
// it says is judged by Gateway.
//
//   Connection connection(loop, id, Door::kAgentDoor, std::move(channel));
//   KRUX_TRY(connection.Start([&](Packet p) { … }, [&](std::string why) { … }, [&] { … gone … }));
//   connection.Send(Encode(reply), std::move(memfd));
#pragma once

#include <functional>
#include <string>

#include "base/channel.h"
#include "base/event_loop.h"
#include "gateway/outbox.h"
#include "gateway/protocol.h"

namespace krux::gateway {

class Connection {
 public:
  Connection(EventLoop& loop, uint64_t id, Door door, Channel channel);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  struct Callbacks {
    std::function<void(Packet)> on_packet;
    // A packet that was too long or carried too many descriptors; the framing is intact.
    std::function<void(const Error&)> on_bad_packet;
    // The peer closed, or does not read its answers. Runs once; destroy the connection later, not
    // from inside.
    std::function<void()> on_gone;
  };
  // SO_PEERCRED and the first read.
  Result<void> Start(Callbacks callbacks);

  void Send(cbor::Bytes packet, UniqueFd fd = {});
  // Back-pressure: a paused connection is not read, and its sender blocks.
  void Pause();
  void Resume();
  // Stops reading and says on_gone.
  void Drop();

  uint64_t id() const { return id_; }
  Door door() const { return door_; }
  const PeerCredentials& peer() const { return peer_; }
  bool paused() const { return paused_; }
  bool gone() const { return gone_; }

  ConnectionState state = ConnectionState::kNew;
  bool turned_away = false;  // over the limit: told so, waits for its own end
  size_t outstanding = 0;    // requests without an answer

 private:
  void OnReadable();
  EventLoop& loop_;
  uint64_t id_;
  Door door_;
  Channel channel_;
  Outbox outbox_;
  PeerCredentials peer_;
  Callbacks callbacks_;
  EventSource readable_;
  bool paused_ = false;
  bool gone_ = false;
};

}  // namespace krux::gateway
