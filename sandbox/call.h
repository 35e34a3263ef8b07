// Call: one worker in krux-spawnd, from its clone to its removal. Single use: a worker is confined
// once, measured once, let go once, and never handed another request.
#pragma once

#include <optional>

#include "base/channel.h"
#include "base/pidfd.h"
#include "sandbox/cgroup.h"
#include "sandbox/client.h"
#include "sandbox/measure.h"
#include "sandbox/spawnd_start.h"
#include "sandbox/template.h"

namespace krux::sandbox {

// What all calls share.
struct CallWorld {
  const InnerWorld* inner = nullptr;
  const CgroupTree* cgroups = nullptr;
  WorkerEntry entry = nullptr;
  int landlock_abi = 0;
  bool rootless = false;
  std::vector<uint32_t> groups;  // supplementary groups that stay (rootless)
  TestHooks hooks;               // test build only
};

class Call {
 public:
  enum class Stage { kConfining, kReady, kRunning, kSpent };

  // Clones the worker into its namespaces and cgroup, with its maps written. `fds` came with the
  // Spec (sandbox/input.h). `number` never repeats.
  static Result<Call> Start(const CallWorld& world, const Template& mount_template, Spec spec,
                            std::vector<UniqueFd> fds, uint64_t number);

  // The worker's socket has something: returns Ready when it is confined and measured as specified,
  // Failed when a step failed or a measurement differs, nothing while it is still on its way.
  std::optional<Event> OnControl();
  // The barrier. Anything but a ready worker is an error.
  Result<void> Go(uint64_t now_ns);
  void Kill(Done::End why);
  // The deadline has passed. A program's init stub is told first, so that what was printed so far
  // comes out with its answer; then, and at once where there is no stub, everything is killed.
  void Expire(uint64_t now_ns);
  // The worker is gone: seals the result.
  Event OnExit(uint64_t now_ns);

  const cbor::Bytes& id() const { return spec_.call_id; }
  Stage stage() const { return stage_; }
  // kruxd already heard how this call ended; its exit is not reported again.
  bool silent() const { return reported_; }
  int control_fd() const { return control_.fd(); }
  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.fd(); }
  uint64_t deadline_ns() const { return deadline_ns_; }
  UniqueFd DupPidfd() const;
  // Ends a call that has not begun, with `error` as its Failed.
  Event Refuse(Error error);
  // Something secret came in sight of it: ends with kSecretLost and `why`.
  void LoseSecret(const std::string& why);

  // The watch over its template's secrets (Watches), 0 where there is none, and the ping that must
  // be answered before it counts as ready.
  uint64_t watch = 0, ping = 0;

 private:
  std::optional<Event> Judge(const ChildMessage& report);
  Failed MakeFailed(std::string layer, std::string message, int sys_errno, Receipt receipt);

  Spec spec_;
  Stage stage_ = Stage::kConfining;
  Expected expected_;
  bool degraded_cgroup_ = false;
  pid_t pid_ = -1;
  Pidfd pidfd_;
  Channel control_;
  UniqueFd proc_dir_;
  UniqueFd netlink_;
  UniqueFd result_;
  CgroupLeaf leaf_;
  uint64_t started_ns_ = 0;
  uint64_t deadline_ns_ = 0;
  UniqueFd work_;  // WORK's root, O_PATH, where programs may write it
  uint64_t work_files_ = 0;
  std::optional<Done::End> killed_;
  std::string note_;             // why, for Done
  bool reported_ = false;        // kruxd has heard of the end of this call
  bool ignore_receipt_ = false;  // test build only
};

}  // namespace krux::sandbox
