#include "gateway/connection.h"

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

namespace krux::gateway {
namespace {

constexpr size_t kMaxUnsentReplies = 128;  // more than unanswered_per_connection can be
constexpr int kPacketsPerTurn = 4;         // then other connections have theirs
constexpr size_t kMaxRequestFds = 1;

}  // namespace

Connection::Connection(EventLoop& loop, uint64_t id, Door door, Channel channel, Allowance allowed)
    : frames(allowed),
      loop_(loop),
      id_(id),
      door_(door),
      channel_(std::move(channel)),
      outbox_(loop, channel_.fd(), kMaxUnsentReplies) {}

Result<void> Connection::Start(Callbacks callbacks) {
  callbacks_ = std::move(callbacks);
  peer_ = KRUX_TRY(channel_.Peer());
  KRUX_TRY(channel_.SetNonBlocking(true));
  readable_ = KRUX_TRY(loop_.AddIo(channel_.fd(), EPOLLIN, [this](uint32_t) { OnReadable(); }));
  return {};
}

void Connection::OnReadable() {
  for (int i = 0; i < kPacketsPerTurn && !gone_ && !paused_; ++i) {
    if (!callbacks_.may_read()) return Pause();
    auto packet = channel_.Receive(kMaxRequestFds);
    if (!packet && packet.error().sys_errno == EAGAIN) return;
    if (!packet && packet.error().code == ExitCode::kBadData) {
      callbacks_.on_bad_packet(packet.error());
      continue;
    }
    if (!packet || packet->eof) {
      Drop();
      return;
    }
    callbacks_.on_packet(std::move(*packet));
  }
}

void Connection::Send(cbor::Bytes packet, UniqueFd fd, uint64_t size) {
  if (gone_) return;
  if (fd.valid()) unread_ = Unread() + std::max(size, kLeastUnread);
  auto bytes = std::make_shared<cbor::Bytes>(std::move(packet));
  auto held = std::make_shared<UniqueFd>(std::move(fd));
  auto sent = outbox_.Post([this, bytes, held]() -> Result<void> {
    const int fds[] = {held->get()};
    return channel_.Send(*bytes, std::span(fds, held->valid() ? 1 : 0));
  });
  if (!sent) Drop();
}

// SIOCOUTQ (unix(7)): what the peer has not read, in the kernel's own units; only zero is sure.
uint64_t Connection::Unread() {
  int queued = 0;
  const bool all_read = unread_ > 0 && outbox_.waiting() == 0 &&
                        ioctl(channel_.fd(), SIOCOUTQ, &queued) == 0 && queued == 0;
  if (all_read) unread_ = 0;
  return unread_;
}

void Connection::Pause() {
  paused_ = true;
  readable_.Reset();
}

void Connection::Resume() {
  if (!paused_ || gone_) return;
  paused_ = false;
  auto source = loop_.AddIo(channel_.fd(), EPOLLIN, [this](uint32_t) { OnReadable(); });
  if (!source) {
    Drop();
    return;
  }
  readable_ = std::move(*source);
}

void Connection::Drop() {
  if (gone_) return;
  gone_ = true;
  readable_.Reset();
  callbacks_.on_gone();
}

}  // namespace krux::gateway
