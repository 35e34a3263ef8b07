// Generation: one set of the four daemons and the channels between them. It is started whole and
// ends whole; a daemon is never replaced inside a living generation.
//
//   kruxd ── krux-auditd          socketpairs (SOCK_SEQPACKET) made here, each end held by one
//   daemon
//     └── krux-spawnd ── krux-mountd
//   every daemon: the read end of one lifeline pipe; its EOF means that the supervisor is gone
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "base/channel.h"
#include "base/event_loop.h"
#include "gateway/supervisor/daemon.h"
#include "gateway/supervisor/delegated_cgroup.h"
#include "gateway/supervisor/ids.h"
#include "gateway/supervisor/supervisor.h"
#include "gateway/supervisor_message.h"

namespace krux::gateway {

// What stays the same over all generations of one supervisor.
struct Ground {
  const GatewayOptions* options = nullptr;
  bool root = false;
  DaemonIds ids;
  UniqueFd programs[4];  // in the order of Generation::Role
  UniqueFd gateway_listener;
  UniqueFd admin_listener;
  UniqueFd audit_dir;       // <state>/audit, krux-auditd's
  UniqueFd public_key_dir;  // root: <state>/audit-pub, krux-auditd's; from there it is published
  UniqueFd log;
  DelegatedCgroup cgroup;
  // The operator's policies that are in force: of these a new generation is made, whatever became
  // of the files meanwhile.
  UniqueFd policies;
  uint64_t policy_epoch = 0;  // 0: kruxd has not named one yet
};

class Generation {
 public:
  enum Role : uint8_t { kAuditd, kMountd, kSpawnd, kKruxd };
  static constexpr const char* kNames[] = {"krux-auditd", "krux-mountd", "krux-spawnd", "kruxd"};

  struct Callbacks {
    std::function<void()> on_ready;
    std::function<void(uint64_t)> on_clients;
    std::function<void()> on_stop;
    std::function<void()> on_alive;            // kruxd says so
    std::function<void(Role role)> on_silent;  // kruxd says that it says nothing any more
    std::function<void(uint64_t tag)> on_reload;
    std::function<void(uint64_t epoch)> on_in_force;
    // A daemon ended that nobody asked to end. `status`: exit status, or 128 + signal. Twice where
    // the first had nothing to say and a later one has.
    std::function<void(Role role, int status)> on_death;
    // All four are gone.
    std::function<void()> on_ended;
  };

  Generation(EventLoop& loop, Ground& ground, Callbacks callbacks);
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;
  ~Generation();

  Result<void> Start();
  // Ends the daemons: kruxd first where `in_order` (it records the end of its sessions), then the
  // others; what does not go is killed. on_ended follows.
  void End(bool in_order);
  // Hands kruxd the policy files, or says why there are none. False: it does not take anything.
  bool Tell(const PoliciesMessage& message, const UniqueFd& parcel);
  // Some daemon was ended by a signal that was not ours.
  bool killed() const { return killed_; }
  // Kills one that hangs; on_death follows. False, and nothing happens, while it waits for a disk
  // (state D, proc(5)): it could not die, and answers when the disk does.
  bool Kill(Role role);

 private:
  struct Slot {
    Daemon daemon;
    EventSource exit;
    bool running = false;
  };
  Result<void> StartOne(Role role, std::vector<std::string> arguments, std::vector<int> inherit,
                        uid_t id, int cgroup = -1);
  Result<void> StartAuditd(int channel, int lifeline);
  Result<void> StartMountd(int channel, int lifeline);
  Result<void> StartSpawnd(int channel, int mount, int lifeline);
  Result<void> StartKruxd(int audit, int spawn, int control, int lifeline);
  void OnExit(Role role);
  void OnControl();
  void EndOthers();
  void KillAll();
  bool AnyRunning() const;

  EventLoop& loop_;
  Ground& ground_;
  Callbacks callbacks_;
  std::array<Slot, 4> slots_;
  UniqueFd lifeline_;  // the write end
  Channel control_;
  EventSource control_source_;
  EventSource escalation_;
  bool ending_ = false;
  bool others_told_ = false;
  bool escalated_ = false;
  bool killed_ = false;
  bool follower_only_ = false;  // the first to end said nothing
};

}  // namespace krux::gateway
