// Outbox: packets that leave a non-blocking socket in order. When the peer does not read, they wait
// here, bounded, instead of blocking the one thread of kruxd.
//
//   Outbox outbox(loop, channel.fd());
//   KRUX_TRY(outbox.Post([&channel, bytes] { return channel.Send(bytes); }));
#pragma once

#include <deque>
#include <functional>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace krux::gateway {

class Outbox {
 public:
  using Send = std::function<Result<void>()>;
  Outbox(EventLoop& loop, int fd, size_t limit = 1024) : loop_(loop), fd_(fd), limit_(limit) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Sends now, or when there is room. kBusy when `limit` packets wait already; another error means
  // that the peer is gone.
  Result<void> Post(Send send);
  size_t waiting() const { return queue_.size(); }

 private:
  Result<void> WaitForRoom();
  void Flush();
  EventLoop& loop_;
  int fd_;
  size_t limit_;
  std::deque<Send> queue_;
  UniqueFd writable_fd_;  // a duplicate: epoll(7) watches one descriptor only once
  EventSource writable_;
};

}  // namespace krux::gateway
