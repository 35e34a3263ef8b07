// EventLoop: sd-event(3) with RAII sources. One per process, made in main() and passed down.
//
//   EventLoop loop = KRUX_TRY(EventLoop::Create());
//   EventSource timer = KRUX_TRY(loop.AddTimer(5'000'000, [&] { loop.Exit(0); }));
//   int status = KRUX_TRY(loop.Run());
//
// Callbacks run on the thread that called Run(). A callback may destroy its own EventSource. An
// exception that leaves a callback ends Run() with an error.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "base/error.h"

namespace krux {

class EventSource {
 public:
  EventSource() = default;
  EventSource(EventSource&&) noexcept;
  EventSource& operator=(EventSource&&) noexcept;
  ~EventSource();
  bool active() const { return impl_ != nullptr; }
  void Reset();
  // Handled before everything that did not ask for this.
  void GoFirst();

  struct Impl;

 private:
  friend class EventLoop;
  explicit EventSource(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

class EventLoop {
 public:
  static Result<EventLoop> Create();
  EventLoop(EventLoop&&) noexcept;
  EventLoop& operator=(EventLoop&&) noexcept;
  ~EventLoop();

  // `events` are those of epoll(7), EPOLLIN by default; the callback gets what happened.
  Result<EventSource> AddIo(int fd, uint32_t events, std::function<void(uint32_t)> callback);
  // One shot, `delay_us` microseconds from now on CLOCK_MONOTONIC.
  Result<EventSource> AddTimer(uint64_t delay_us, std::function<void()> callback);
  // Blocks `signal` for this process and runs the callback when it arrives.
  Result<EventSource> AddSignal(int signal, std::function<void()> callback);
  // Runs once, from the loop and not from inside the caller; a busy loop does not starve it.
  Result<EventSource> AddDefer(std::function<void()> callback);

  Result<int> Run();
  void Exit(int status);

 private:
  struct Impl;
  explicit EventLoop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace krux
