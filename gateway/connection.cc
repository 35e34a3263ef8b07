#include "gateway/connection.h"

#include <sys/epoll.h>

#include <cerrno>
#include <memory>
#include <utility>

namespace krux::gateway {
namespace {

constexpr size_t kMaxUnsentReplies = 64;
constexpr int kPacketsPerTurn = 8;  // then other connections have theirs
constexpr size_t kMaxRequestFds = 1;

}  // namespace

Connection::Connection(EventLoop& loop, uint64_t id, Door door, Channel channel)
    : loop_(loop),
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

void Connection::Send(cbor::Bytes packet, UniqueFd fd) {
  if (gone_) return;
  auto bytes = std::make_shared<cbor::Bytes>(std::move(packet));
  auto held = std::make_shared<UniqueFd>(std::move(fd));
  auto sent = outbox_.Post([this, bytes, held]() -> Result<void> {
    const int fds[] = {held->get()};
    return channel_.Send(*bytes, std::span(fds, held->valid() ? 1 : 0));
  });
  if (!sent) Drop();
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
