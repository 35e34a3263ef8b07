#include "gateway/supervisor_link.h"

#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "base/log.h"
#include "gateway/bounds.h"

namespace krux::gateway {
namespace {

constexpr size_t kMaxUntold = 64;

}  // namespace

SupervisorLink::SupervisorLink(EventLoop& loop, Channel control)
    : loop_(loop), control_(std::move(control)) {
  if (present()) outbox_.emplace(loop_, control_.fd(), kMaxUntold);
}

Result<void> SupervisorLink::Start(OnPolicies on_policies) {
  if (!present()) return {};
  KRUX_TRY(control_.SetNonBlocking(true));
  on_policies_ = std::move(on_policies);
  readable_ = KRUX_TRY(loop_.AddIo(control_.fd(), EPOLLIN, [this](uint32_t) { OnReadable(); }));
  return Beat();
}

Result<void> SupervisorLink::Beat() {
  Tell({.type = SupervisorMessage::Type::kAlive});
  if (untold_clients_) Clients(*std::exchange(untold_clients_, std::nullopt));
  beat_ = KRUX_TRY(loop_.AddTimer(kAliveEveryMs * 1'000, [this] {
    if (auto beating = Beat(); !beating)
      Log(LogLevel::kError, "kruxd", "no timer: " + beating.error().message);
  }));
  beat_.GoFirst();
  return {};
}

bool SupervisorLink::Tell(const SupervisorMessage& message) {
  if (!present()) return true;
  return outbox_->Post([this, bytes = Encode(message)] { return control_.Send(bytes); })
      .has_value();
}

void SupervisorLink::Ready() { Tell({.type = SupervisorMessage::Type::kReady}); }

// The last count is the one that matters, so one that finds no room is told at the next beat.
void SupervisorLink::Clients(uint64_t count) {
  const bool told = Tell({.type = SupervisorMessage::Type::kClients, .count = count});
  untold_clients_ = told ? std::nullopt : std::optional(count);
}

void SupervisorLink::Stop() { Tell({.type = SupervisorMessage::Type::kStop}); }

void SupervisorLink::Silent(const std::string& daemon) {
  Log(LogLevel::kError, "kruxd", daemon + " says nothing any more");
  Tell({.type = SupervisorMessage::Type::kSilent, .daemon = daemon});
}

void SupervisorLink::Reload(uint64_t tag) {
  Tell({.type = SupervisorMessage::Type::kReload, .tag = tag});
}

void SupervisorLink::InForce(uint64_t epoch) {
  Tell({.type = SupervisorMessage::Type::kInForce, .epoch = epoch});
}

void SupervisorLink::OnReadable() {
  while (true) {
    auto packet = control_.Receive(1);
    if (!packet && packet.error().sys_errno == EAGAIN) return;
    if (!packet || packet->eof) {
      readable_.Reset();  // its lifeline says the rest
      return;
    }
    const auto message = DecodePoliciesMessage(packet->bytes);
    if (!message) {
      Log(LogLevel::kError, "kruxd", "the supervisor said: " + message.error().message);
      continue;
    }
    if (on_policies_)
      on_policies_(*message, packet->fds.empty() ? UniqueFd() : std::move(packet->fds[0]));
  }
}

}  // namespace krux::gateway
