#include "gateway/spawn_link.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include <cerrno>
#include <memory>
#include <utility>

namespace krux::gateway {

SpawnLink::SpawnLink(EventLoop& loop, Channel channel)
    : loop_(loop), client_(std::move(channel)), outbox_(loop, client_.fd()) {}

Result<void> SpawnLink::Start(std::function<void(sandbox::Event)> on_event,
                              std::function<void()> on_gone) {
  on_event_ = std::move(on_event);
  on_gone_ = std::move(on_gone);
  if (fcntl(client_.fd(), F_SETFL, O_NONBLOCK) != 0)
    return SysError(ExitCode::kInternal, "O_NONBLOCK", errno);
  readable_ = KRUX_TRY(loop_.AddIo(client_.fd(), EPOLLIN, [this](uint32_t) { OnReadable(); }));
  readable_.GoFirst();  // before what clients say: an answer ends work, a packet begins it
  return {};
}

Result<void> SpawnLink::Post(Outbox::Send send) {
  if (!gone_) {
    auto sent = outbox_.Post(std::move(send));
    if (sent || sent.error().code == ExitCode::kBusy || sent.error().code == ExitCode::kBadData)
      return sent;
  }
  return Fail(ExitCode::kSandbox, "spawn", "krux-spawnd is gone; nothing ran, call again");
}

Result<void> SpawnLink::OpenWork(uint64_t tag, UniqueFd work_socket) {
  // The client consumes the descriptor even where the socket is full, so each attempt gets a copy.
  auto held = std::make_shared<UniqueFd>(std::move(work_socket));
  return Post([this, tag, held]() -> Result<void> {
    UniqueFd copy(fcntl(held->get(), F_DUPFD_CLOEXEC, 3));
    if (!copy.valid()) return SysError(ExitCode::kBusy, "dup", errno);
    return client_.OpenWork(tag, std::move(copy));
  });
}

Result<void> SpawnLink::BuildTemplate(uint64_t tag, const sandbox::TemplateSpec& spec,
                                      uint64_t work_id) {
  return Post([this, tag, spec, work_id] { return client_.BuildTemplate(tag, spec, work_id); });
}

Result<void> SpawnLink::DropTemplates(const cbor::Bytes& session_id, uint64_t generation) {
  return Post(
      [this, session_id, generation] { return client_.DropTemplates(session_id, generation); });
}

Result<void> SpawnLink::Spawn(const sandbox::Spec& spec, UniqueFd input) {
  auto held = std::make_shared<UniqueFd>(std::move(input));
  return Post([this, spec, held] { return client_.Spawn(spec, held->get()); });
}

Result<void> SpawnLink::Go(const cbor::Bytes& call_id) {
  return Post([this, call_id] { return client_.Go(call_id); });
}

Result<void> SpawnLink::Cancel(const cbor::Bytes& call_id) {
  return Post([this, call_id] { return client_.Cancel(call_id); });
}

void SpawnLink::OnReadable() {
  while (!gone_) {
    auto event = client_.Next();
    if (!event && event.error().code == ExitCode::kBadData)
      continue;  // one bad packet of a peer we started
    if (!event) {
      gone_ = true;
      readable_.Reset();
      on_gone_();
      return;
    }
    if (!event->has_value()) return;
    on_event_(std::move(**event));
  }
}

}  // namespace krux::gateway
