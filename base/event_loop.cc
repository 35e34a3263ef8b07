#include "base/event_loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include <csignal>
#include <exception>
#include <string>

namespace krux {

struct EventSource::Impl {
  sd_event_source* source = nullptr;
  std::function<void(uint32_t)> callback;
  ~Impl() { sd_event_source_disable_unref(source); }
};

EventSource::EventSource(EventSource&&) noexcept = default;
EventSource& EventSource::operator=(EventSource&&) noexcept = default;
EventSource::~EventSource() = default;
void EventSource::GoFirst() {
  if (impl_ != nullptr) sd_event_source_set_priority(impl_->source, SD_EVENT_PRIORITY_IMPORTANT);
}
void EventSource::Reset() { impl_.reset(); }

struct EventLoop::Impl {
  sd_event* event = nullptr;
  ~Impl() { sd_event_unref(event); }
};

namespace {

// Runs one callback. The copy keeps the function alive when the callback destroys its own source.
int Dispatch(void* userdata, uint32_t events) {
  const auto callback = static_cast<EventSource::Impl*>(userdata)->callback;
  try {
    callback(events);
  } catch (const std::exception&) {
    return -EIO;  // ends sd_event_loop(3), see SD_EVENT_SOURCE_EXIT_ON_FAILURE below
  }
  return 0;
}

int OnIo(sd_event_source*, int, uint32_t events, void* userdata) {
  return Dispatch(userdata, events);
}
int OnTimer(sd_event_source*, uint64_t, void* userdata) { return Dispatch(userdata, 0); }
int OnSignal(sd_event_source*, const signalfd_siginfo*, void* userdata) {
  return Dispatch(userdata, 0);
}
int OnDefer(sd_event_source*, void* userdata) { return Dispatch(userdata, 0); }

Result<std::shared_ptr<EventSource::Impl>> Finish(int status, const char* what,
                                                  std::shared_ptr<EventSource::Impl> impl) {
  if (status < 0) return SysError(ExitCode::kInternal, what, -status);
  sd_event_source_set_exit_on_failure(impl->source, 1);
  return impl;
}

}  // namespace

EventLoop::EventLoop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EventLoop::EventLoop(EventLoop&&) noexcept = default;
EventLoop& EventLoop::operator=(EventLoop&&) noexcept = default;
EventLoop::~EventLoop() = default;

Result<EventLoop> EventLoop::Create() {
  auto impl = std::make_unique<Impl>();
  const int status = sd_event_new(&impl->event);
  if (status < 0) return SysError(ExitCode::kInternal, "sd_event_new", -status);
  return EventLoop(std::move(impl));
}

Result<EventSource> EventLoop::AddIo(int fd, uint32_t events,
                                     std::function<void(uint32_t)> callback) {
  auto impl = std::make_shared<EventSource::Impl>();
  impl->callback = std::move(callback);
  const int status = sd_event_add_io(impl_->event, &impl->source, fd, events, OnIo, impl.get());
  return EventSource(KRUX_TRY(Finish(status, "sd_event_add_io", impl)));
}

Result<EventSource> EventLoop::AddTimer(uint64_t delay_us, std::function<void()> callback) {
  auto impl = std::make_shared<EventSource::Impl>();
  impl->callback = [callback = std::move(callback)](uint32_t) { callback(); };
  const int status = sd_event_add_time_relative(impl_->event, &impl->source, CLOCK_MONOTONIC,
                                                delay_us, 1000, OnTimer, impl.get());
  return EventSource(KRUX_TRY(Finish(status, "sd_event_add_time", impl)));
}

Result<EventSource> EventLoop::AddSignal(int signal, std::function<void()> callback) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  auto impl = std::make_shared<EventSource::Impl>();
  impl->callback = [callback = std::move(callback)](uint32_t) { callback(); };
  const int status = sd_event_add_signal(impl_->event, &impl->source, signal, OnSignal, impl.get());
  return EventSource(KRUX_TRY(Finish(status, "sd_event_add_signal", impl)));
}

Result<EventSource> EventLoop::AddDefer(std::function<void()> callback) {
  auto impl = std::make_shared<EventSource::Impl>();
  impl->callback = [callback = std::move(callback)](uint32_t) { callback(); };
  const int status = sd_event_add_defer(impl_->event, &impl->source, OnDefer, impl.get());
  return EventSource(KRUX_TRY(Finish(status, "sd_event_add_defer", impl)));
}

Result<int> EventLoop::Run() {
  const int status = sd_event_loop(impl_->event);
  if (status < 0) return SysError(ExitCode::kInternal, "event loop", -status);
  return status;
}

void EventLoop::Exit(int status) { sd_event_exit(impl_->event, status); }

}  // namespace krux
