// TestHooks: what the test build of the daemons (KRUX_TEST_HOOKS) leaves out or weakens, so that
// tests can show what each ring stops. In the build that ships nothing reads it and nothing fills
// it.
//
//   krux-spawnd-hooks --test-ignore-receipt --test-skip landlock --test-weaken proc_subset …
#pragma once

#include <cstddef>
#include <cstdint>

namespace krux::sandbox {

// Parts of a ring that can be taken out alone. X(enumerator, word)
#define KRUX_TEST_WEAKENINGS(X)                                                        \
  X(kProcSubset, "proc_subset")       /* the call's /proc shows more than processes */ \
  X(kProcHidepid, "proc_hidepid")     /* … and other users' processes */               \
  X(kTmpSize, "tmp_size")             /* /tmp without a limit */                       \
  X(kLandlockFs, "landlock_fs")       /* a rule for everything below / */              \
  X(kLandlockNet, "landlock_net")     /* files alone: the domain of ABI 3 */           \
  X(kLandlockScope, "landlock_scope") /* files and ports: the domain of ABI 5 */       \
  X(kSeccompI386, "seccomp_i386")     /* the filter lets every 32-bit call through */  \
  X(kSeccompX32, "seccomp_x32")       /* … every x32 number */                         \
  X(kLoopback, "loopback")            /* the worker's own loopback device is up */     \
  X(kHostRoot, "host_root")           /* the root is the host's, not the template */   \
  X(kOneMask, "one_mask")             /* the first secret of a template is not hidden */

enum Weakening : uint32_t {
#define X(enumerator, word) enumerator,
  KRUX_TEST_WEAKENINGS(X)
#undef X
};

inline constexpr size_t kMaxOpened = 32;

struct TestHooks {
  uint32_t skip_steps = 0;         // --test-skip STEP: bits of sandbox::Step
  uint64_t skip_namespaces = 0;    // --test-skip-namespace NAME: CLONE_NEW* of the worker
  uint64_t shared_namespaces = 0;  // --test-share-namespace NAME: krux-spawnd stays in the host's
  uint32_t weak = 0;               // --test-weaken WORD: bits of Weakening
  bool ignore_receipt = false;     // --test-ignore-receipt: a weaker call goes on
  // The ring is two filters, the worker's below spawnd's own: where the worker's is left out or
  // opened, or the root is changed once more, spawnd goes without its own, unless
  // --test-own-filter. --test-without-own-filter leaves out spawnd's own alone.
  bool without_own_filter = false;
  int opened[kMaxOpened] = {};  // --test-open NUMBER: system calls that the filter lets through
  size_t opened_count = 0;
  uint64_t net_namespaces = 0;  // --test-net-namespaces NUMBER: instead of kNetNamespaces
  int host_root_fd = -1;        // set by EnterInner for kHostRoot

  bool Weak(Weakening what) const { return (weak & (1u << what)) != 0; }
};

#ifdef KRUX_TEST_HOOKS
struct ChildPlan;
enum class Step : uint32_t;

TestHooks ParseTestHooks(int argc, char** argv);
// Before the clone: changes what is data of the plan.
void WeakenPlan(const TestHooks& hooks, ChildPlan& plan);
// In the child, before `step`: does what is no data. True when the step is to be left out.
bool LeaveOut(const TestHooks& hooks, Step step);
#endif

}  // namespace krux::sandbox
