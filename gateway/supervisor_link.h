// SupervisorLink: what kruxd tells its supervisor, never blocking: a supervisor that was stopped
// must not stop kruxd. The one thing that it hears are the operator's policy files.
//
//   SupervisorLink supervisor(loop, std::move(control));
//   KRUX_TRY(supervisor.Start());         // from now on it says every few seconds that it lives
//   supervisor.Clients(1);
//   supervisor.Silent("krux-spawnd");     // which will be killed, and all the others with it
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/channel.h"
#include "base/event_loop.h"
#include "gateway/outbox.h"
#include "gateway/supervisor_message.h"

namespace krux::gateway {

class SupervisorLink {
 public:
  // `control` may be no channel at all: then everything here does nothing.
  SupervisorLink(EventLoop& loop, Channel control);
  // `on_policies` hears what the supervisor read for a Reload, or for an operator of its own.
  using OnPolicies = std::function<void(const PoliciesMessage&, UniqueFd parcel)>;
  Result<void> Start(OnPolicies on_policies = {});
  bool present() const { return control_.valid(); }

  void Ready();
  void Clients(uint64_t count);
  void Stop();
  void Silent(const std::string& daemon);
  void Reload(uint64_t tag);
  void InForce(uint64_t epoch);

 private:
  bool Tell(const SupervisorMessage& message);
  Result<void> Beat();
  void OnReadable();
  EventLoop& loop_;
  Channel control_;
  std::optional<Outbox> outbox_;
  std::optional<uint64_t> untold_clients_;
  EventSource beat_;
  OnPolicies on_policies_;
  EventSource readable_;
};

}  // namespace krux::gateway
