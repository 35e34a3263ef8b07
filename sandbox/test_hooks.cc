#include "sandbox/test_hooks.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/seccomp/bpf_tree.h"
#include "sandbox/child.h"
#include "sandbox/flags.h"
#include "sandbox/namespaces.h"

namespace krux::sandbox {
namespace {

constexpr const char* kWords[] = {
#define X(enumerator, word) word,
    KRUX_TEST_WEAKENINGS(X)
#undef X
};

uint64_t NamespaceFlags(int argc, char** argv, const char* flag) {
  uint64_t flags = 0;
  for (int n = 0; const char* name = FlagValue(argc, argv, flag, n); ++n) {
    for (const NamespaceKind& kind : kNamespaces) {
      if (std::strcmp(name, kind.name) == 0) flags |= kind.flag;
    }
  }
  return flags;
}

// The filter behind a few instructions that let some calls through. Another filter answers with
// another digest, so this one does too: its first chunk is wrong.
const CompiledFilter* OpenFilter(const TestHooks& hooks, const CompiledFilter& filter) {
  static std::vector<sock_filter> insns;
  static CompiledFilter opened;
  insns.clear();
  const auto add = [](sock_filter insn) { insns.push_back(insn); };
  const sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
  if (hooks.Weak(kSeccompI386)) {
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 0, 1));
    add(allow);
  }
  std::vector<sock_filter> numbers;
  numbers.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  if (hooks.Weak(kSeccompX32)) {
    numbers.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x40000000, 0, 1));
    numbers.push_back(allow);
  }
  for (size_t i = 0; i < hooks.opened_count; ++i) {
    numbers.push_back(
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(hooks.opened[i]), 0, 1));
    numbers.push_back(allow);
  }
  numbers.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kProbeSyscall, 0, 3));
  numbers.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)));
  numbers.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1));
  numbers.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0));
#if defined(__x86_64__)
  constexpr uint32_t kNative = AUDIT_ARCH_X86_64;
#else
  constexpr uint32_t kNative = AUDIT_ARCH_AARCH64;
#endif
  add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kNative, 0, static_cast<uint8_t>(numbers.size())));
  insns.insert(insns.end(), numbers.begin(), numbers.end());
  insns.insert(insns.end(), filter.insns, filter.insns + filter.count);
  opened = {insns.data(), static_cast<unsigned short>(insns.size()), filter.digest,
            filter.tree_count};
  return &opened;
}

void RaiseLoopback() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  ioctl(fd, SIOCSIFFLAGS, &request);
  close(fd);
}

void EnterHostRoot(int fd) {
  if (fchdir(fd) != 0 || chroot(".") != 0) _exit(124);
}

}  // namespace

TestHooks ParseTestHooks(int argc, char** argv) {
  TestHooks hooks;
  for (int n = 0; const char* name = FlagValue(argc, argv, "--test-skip", n); ++n) {
    for (uint32_t i = 0; i < kStepCount; ++i) {
      if (std::strcmp(name, Name(static_cast<Step>(i))) == 0) hooks.skip_steps |= 1u << i;
    }
  }
  hooks.skip_namespaces = NamespaceFlags(argc, argv, "--test-skip-namespace");
  hooks.shared_namespaces = NamespaceFlags(argc, argv, "--test-share-namespace");
  hooks.ignore_receipt = FlagSet(argc, argv, "--test-ignore-receipt");
  for (int n = 0; const char* word = FlagValue(argc, argv, "--test-weaken", n); ++n) {
    for (uint32_t i = 0; i < std::size(kWords); ++i) {
      if (std::strcmp(word, kWords[i]) == 0) hooks.weak |= 1u << i;
    }
  }
  for (int n = 0; const char* number = FlagValue(argc, argv, "--test-open", n); ++n) {
    if (hooks.opened_count < kMaxOpened) hooks.opened[hooks.opened_count++] = std::atoi(number);
  }
  if (const char* number = FlagValue(argc, argv, "--test-net-namespaces", 0))
    hooks.net_namespaces = std::strtoull(number, nullptr, 10);
  const bool opened = (hooks.skip_steps & (1u << static_cast<uint32_t>(Step::kSeccomp))) != 0 ||
                      hooks.Weak(kSeccompI386) || hooks.Weak(kSeccompX32) ||
                      hooks.Weak(kHostRoot) || hooks.opened_count > 0;
  hooks.without_own_filter = (opened && !FlagSet(argc, argv, "--test-own-filter")) ||
                             FlagSet(argc, argv, "--test-without-own-filter");
  return hooks;
}

void WeakenPlan(const TestHooks& hooks, ChildPlan& plan) {
  plan.hooks = &hooks;
  if (hooks.Weak(kProcSubset)) plan.proc_options = "hidepid=2";
  if (hooks.Weak(kProcHidepid)) plan.proc_options = "hidepid=0,subset=pid";
  if (hooks.Weak(kTmpSize)) std::strcpy(plan.tmp_options, "mode=1777,size=0,uid=1100,gid=1100");
  if (hooks.Weak(kLandlockFs) && plan.rule_count < kMaxLandlockRules)
    plan.rules[plan.rule_count++] = {"/", true, true, true};
  if (hooks.Weak(kLandlockNet)) plan.landlock_abi = std::min(plan.landlock_abi, 3);
  if (hooks.Weak(kLandlockScope)) plan.landlock_abi = std::min(plan.landlock_abi, 5);
  if (hooks.Weak(kSeccompI386) || hooks.Weak(kSeccompX32) || hooks.opened_count > 0)
    plan.filter = OpenFilter(hooks, *plan.filter);
}

bool LeaveOut(const TestHooks& hooks, Step step) {
  if (step == Step::kNftables && hooks.Weak(kLoopback)) RaiseLoopback();
  // After the last mount and before the capability to change the root is gone.
  if (step == Step::kCaps && hooks.Weak(kHostRoot)) EnterHostRoot(hooks.host_root_fd);
  if ((hooks.skip_steps & (1u << static_cast<uint32_t>(step))) == 0) return false;
  // The change of ids has cleared the flag already (prctl(2)): leaving the step out is not enough.
  if (step == Step::kDumpable) prctl(PR_SET_DUMPABLE, 1);
  return true;
}

}  // namespace krux::sandbox
