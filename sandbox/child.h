// The confined child: from clone3 to the work of one call, step by step. The list of steps is the
// design of the sandbox; each step names the layer it belongs to, and a step that fails ends the
// call.
//
// Everything here runs between clone3 and the worker's entry in a copy of spawnd: plain system
// calls on what the parent prepared, no allocation, no lock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sandbox/caps.h"
#include "sandbox/landlock.h"
#include "sandbox/rlimits.h"
#include "sandbox/seccomp.h"
#include "sandbox/test_hooks.h"
#include "sandbox/worker_entry.h"

namespace krux::sandbox {

// In the order they run; the table in child.cc gives each its name and its layer.
enum class Step : uint32_t {
  kMaps,
  kHostname,
  kProc,
  kNftables,
  kRlimits,
  kSession,
  kBoundingSet,
  kSecurebits,
  kIds,
  kTmp,
  kCaps,
  kNoNewPrivs,
  kDumpable,
  kParentDeath,
  kFds,
  kLandlock,
  kSelfFacts,
  kSeccomp,
  kReport,
};
inline constexpr uint32_t kStepCount = static_cast<uint32_t>(Step::kReport) + 1;
const char* Name(Step step);
const char* LayerOf(Step step);

// What the child tells its parent, fixed size, native byte order (both are one program).
struct ChildMessage {
  enum Kind : uint32_t { kNetlink = 1, kFailed = 2, kMeasured = 3 };
  Kind kind = kFailed;
  Step step = Step::kMaps;  // of kFailed
  int error = 0;            // errno of kFailed
  SelfFacts self{};         // from here on: of kMeasured
  int canary = -1;          // 0: refused as it must be (ProbeCanary)
  int granted = -1;         // 0: opens (ProbeGranted)
  int tcp = -1;             // 0: refused (ProbeTcpRefused); ABI ≥ 4
  int abstract = -1;        // 0: refused (ProbeAbstractRefused); ABI ≥ 6
  int socket_refused = -1;  // 0: refused by the filter (ProbeSocketRefused)
  int digest_error = -1;    // 0: `digest` is the loaded filter's
  uint8_t digest[kFilterDigestBytes] = {};
};

// Descriptors of a confined worker; nothing else is open.
inline constexpr int kControlFd = 3;
inline constexpr int kResultFd = 4;
inline constexpr int kWorkerFds = 5;
inline constexpr int kInputFd = 5;           // and this one where the call has an input
inline constexpr uint32_t kInsideId = 1100;  // uid and gid inside

inline constexpr size_t kMaxLandlockRules = 64;

struct ChildPlan {
  WorkClass work_class = WorkClass::kFs;
  int null_fd = -1, control_fd = -1, result_fd = -1;
  int input_fd = -1;  // -1: the call has none
  LandlockPath rules[kMaxLandlockRules] = {};
  size_t rule_count = 0;
  int landlock_abi = 0;
  const char* granted_path = nullptr;  // opens under the rules; null: no rule
  RlimitEntry rlimits[kMaxRlimits] = {};
  size_t rlimit_count = 0;
  bool mount_proc = false;  // programs only
  const char* proc_options = "hidepid=2,subset=pid";
  bool mount_tmp = false;     // programs only: a /tmp of this call's own
  char tmp_options[96] = {};  // "mode=1777,size=…,nr_inodes=…,uid=1100,gid=1100"
  const char* work_below_tmp =
      nullptr;  // WORK when it lies below /tmp: attached again over the new /tmp
  const CompiledFilter* filter = nullptr;
  WorkerEntry entry = nullptr;
  WorkerContext context{};
  const TestHooks* hooks = nullptr;  // test build only
};

// Never returns: exits with the entry's status, or 125 when a step failed.
[[noreturn]] void RunChild(const ChildPlan& plan);

}  // namespace krux::sandbox
