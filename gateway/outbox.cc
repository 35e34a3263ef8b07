#include "gateway/outbox.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include <cerrno>

namespace krux::gateway {

Result<void> Outbox::Post(Send send) {
  if (queue_.empty()) {
    auto sent = send();
    if (sent || sent.error().sys_errno != EAGAIN) return sent;
  }
  if (queue_.size() >= limit_)
    return Fail(ExitCode::kBusy, "send", "the receiver does not keep up; retry");
  queue_.push_back(std::move(send));
  return WaitForRoom();
}

Result<void> Outbox::WaitForRoom() {
  if (writable_.active()) return {};
  writable_fd_.reset(fcntl(fd_, F_DUPFD_CLOEXEC, 3));
  if (!writable_fd_.valid()) return SysError(ExitCode::kBusy, "dup", errno);
  writable_ = KRUX_TRY(loop_.AddIo(writable_fd_.get(), EPOLLOUT, [this](uint32_t) { Flush(); }));
  return {};
}

void Outbox::Flush() {
  while (!queue_.empty()) {
    auto sent = queue_.front()();
    if (!sent && sent.error().sys_errno == EAGAIN) return;
    // Another failure means a dead peer, which the reading side notices as well.
    queue_.pop_front();
  }
  writable_.Reset();
  writable_fd_.reset();
}

}  // namespace krux::gateway
