// What the daemons' own filters decide, evaluated without loading them, and that krux-spawnd's,
// which every worker inherits, refuses nothing that a class of work allows.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <set>

#include "base/seccomp/filter.h"
#include "base/seccomp/rules.h"
#include "tests/sandbox/bpf_interpreter.h"

namespace krux::sandbox {
namespace {

using seccomp::Compile;
using seccomp::FindArch;
using seccomp::ParseRuleFiles;
using seccomp::Rule;
using seccomp::RuleSet;
using testing::Evaluate;
using Program = std::vector<sock_filter>;

const std::string kTree = KRUX_SOURCE_DIR "/";
const std::string kShared = kTree + "base/seccomp/daemon.rules";

RuleSet Rules(const std::string& daemon, const char* arch = "x86_64") {
  if (daemon == "krux-auditd")
    return ParseRuleFiles({kTree + "audit/auditd.rules", kShared}, *FindArch(arch));
  if (daemon == "kruxd")
    return ParseRuleFiles({kTree + "gateway/kruxd.rules", kShared}, *FindArch(arch));
  const std::string own = kTree + "sandbox/seccomp/";
  if (daemon == "krux-mountd")
    return ParseRuleFiles({own + "mountd.rules", kShared}, *FindArch(arch));
  if (daemon == "krux-spawnd outer")
    return ParseRuleFiles({own + "spawnd_outer.rules", kShared}, *FindArch(arch));
  return ParseRuleFiles({own + daemon + ".rules"}, *FindArch(arch));
}

Program Filter(const std::string& daemon) { return Compile(Rules(daemon), kProbeSyscall).insns; }

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr uint32_t kKill = SECCOMP_RET_KILL_PROCESS;
constexpr uint32_t Refuse(int error) { return SECCOMP_RET_ERRNO | static_cast<uint32_t>(error); }

uint32_t Decide(const Program& filter, uint32_t number, const std::vector<uint64_t>& args = {},
                uint32_t arch = AUDIT_ARCH_X86_64) {
  seccomp_data call{};
  call.nr = static_cast<int>(number);
  call.arch = arch;
  for (size_t i = 0; i < args.size(); ++i) call.args[i] = args[i];
  return Evaluate(filter, call);
}

#ifdef __x86_64__

constexpr const char* kDaemons[] = {"krux-auditd", "kruxd", "krux-mountd", "krux-spawnd outer"};

TEST(DaemonFilters, EndWhatOnlyAnIntruderCalls) {
  for (const char* daemon : kDaemons) {
    const Program filter = Filter(daemon);
    for (const long number : {SYS_execve,
                              SYS_execveat,
                              SYS_ptrace,
                              SYS_process_vm_readv,
                              SYS_process_vm_writev,
                              SYS_bpf,
                              SYS_keyctl,
                              SYS_add_key,
                              SYS_io_uring_setup,
                              SYS_userfaultfd,
                              SYS_perf_event_open,
                              SYS_init_module,
                              SYS_kexec_load,
                              SYS_pivot_root,
                              SYS_chroot,
                              SYS_umount2,
                              SYS_move_mount,
                              SYS_fsopen,
                              SYS_setresuid,
                              SYS_reboot}) {
      EXPECT_EQ(Decide(filter, static_cast<uint32_t>(number)), kKill) << daemon << " " << number;
    }
  }
}

TEST(DaemonFilters, KillTheOtherAbisOfTheMachine) {
  for (const char* daemon :
       {"krux-auditd", "kruxd", "krux-mountd", "krux-spawnd outer", "spawnd"}) {
    const Program filter = Filter(daemon);
    EXPECT_EQ(Decide(filter, 3, {}, AUDIT_ARCH_I386), kKill) << daemon;
    EXPECT_EQ(Decide(filter, 0x40000000), kKill) << daemon;
  }
}

TEST(DaemonFilters, NoneMakesASocketOrAProcessThatItDoesNotNeed) {
  for (const char* daemon : kDaemons) {
    const Program filter = Filter(daemon);
    for (uint64_t domain = 0; domain < 46; ++domain)
      EXPECT_NE(Decide(filter, SYS_socket, {domain, SOCK_STREAM}), kAllow) << daemon;
    EXPECT_NE(Decide(filter, SYS_connect), kAllow) << daemon;
    EXPECT_NE(Decide(filter, SYS_clone3), kAllow) << daemon;
    EXPECT_NE(Decide(filter, SYS_fork), kAllow) << daemon;
    EXPECT_NE(Decide(filter, SYS_mmap, {0, 4096, 7}), kAllow) << daemon;
    EXPECT_EQ(Decide(filter, SYS_clone, {SIGCHLD}) == kAllow, std::string(daemon) == "krux-mountd")
        << daemon;
  }
}

TEST(DaemonFilters, AnswerWhatTheyDoNotKnowAsAnOlderKernelWould) {
  for (const char* daemon : kDaemons)
    EXPECT_EQ(Decide(Filter(daemon), 599), Refuse(ENOSYS)) << daemon;
}

TEST(DaemonFilters, KruxdOpensForReadingAlone) {
  const Program filter = Filter("kruxd");
  EXPECT_EQ(Decide(filter, SYS_openat, {0, 0, O_RDONLY | O_CLOEXEC}), kAllow);
  EXPECT_EQ(Decide(filter, SYS_openat, {0, 0, O_WRONLY}), Refuse(EPERM));
  EXPECT_EQ(Decide(filter, SYS_openat, {0, 0, O_RDONLY | O_CREAT}), Refuse(EPERM));
}

TEST(DaemonFilters, MountdCopiesMountsAndMakesNone) {
  const Program filter = Filter("krux-mountd");
  EXPECT_EQ(Decide(filter, SYS_open_tree), kAllow);
  EXPECT_EQ(Decide(filter, SYS_mount_setattr), kAllow);
  EXPECT_EQ(Decide(filter, SYS_mount, {0, 0, 0, MS_REC | MS_SLAVE}), kAllow);
  EXPECT_EQ(Decide(filter, SYS_mount, {0, 0, 0, MS_BIND}), Refuse(EPERM));
  EXPECT_EQ(Decide(filter, SYS_mount, {0, 0, 0, 0}), Refuse(EPERM));
  EXPECT_EQ(Decide(filter, SYS_setns, {3, CLONE_NEWUSER}), kAllow);
  EXPECT_EQ(Decide(filter, SYS_setns, {3, 0}), Refuse(EPERM));
  EXPECT_EQ(Decide(filter, SYS_unshare, {CLONE_NEWNS}), kAllow);
  EXPECT_EQ(Decide(filter, SYS_unshare, {CLONE_NEWUSER}), Refuse(EPERM));
  EXPECT_EQ(Decide(filter, SYS_clone, {CLONE_NEWUSER | CLONE_PIDFD | SIGCHLD}), kAllow);
  EXPECT_EQ(Decide(filter, SYS_clone, {CLONE_NEWNET | SIGCHLD}), Refuse(EPERM));
  EXPECT_EQ(Decide(filter, SYS_openat, {0, 0, O_WRONLY | O_CREAT}), Refuse(EPERM));
}

// Values around everything that any of the two rules compares with.
std::set<uint64_t> Edges(const Rule* a, const Rule* b) {
  std::set<uint64_t> values = {0, 1, 2, ~uint64_t{0}};
  for (uint32_t bit = 0; bit < 32; ++bit) values.insert(1u << bit);
  for (const Rule* rule : {a, b}) {
    if (rule == nullptr) continue;
    for (const krux_bpf_alternative& alternative : rule->alternatives) {
      for (size_t i = 0; i < alternative.count; ++i) {
        const krux_bpf_condition& c = alternative.conditions[i];
        for (const uint32_t v : {c.value, c.mask, ~c.mask, c.value | ~c.mask}) values.insert(v);
      }
    }
  }
  return values;
}

// Arguments that the two rules look at.
std::set<uint32_t> Looked(const Rule* a, const Rule* b) {
  std::set<uint32_t> args;
  for (const Rule* rule : {a, b}) {
    if (rule == nullptr) continue;
    for (const krux_bpf_alternative& alternative : rule->alternatives)
      for (size_t i = 0; i < alternative.count; ++i) args.insert(alternative.conditions[i].arg);
  }
  return args;
}

TEST(SpawndFilter, RefusesNothingThatAClassAllows) {
  const RuleSet outer_rules = Rules("spawnd");
  const Program outer = Filter("spawnd");
  for (const char* work_class : {"fs", "write", "exec", "watch"}) {
    const RuleSet inner_rules = Rules(work_class);
    const Program inner = Filter(work_class);
    for (const auto& [number, rule] : inner_rules.rules) {
      const auto own = outer_rules.rules.find(number);
      const Rule* other = own == outer_rules.rules.end() ? nullptr : &own->second;
      const std::set<uint64_t> edges = Edges(&rule, other);
      std::set<uint32_t> looked = Looked(&rule, other);
      looked.insert({0, 1});
      ASSERT_LE(looked.size(), 4u) << rule.name;
      const uint32_t first = *looked.begin(), last = *looked.rbegin();
      for (const uint64_t x : edges) {
        for (const uint64_t y : edges) {
          std::vector<uint64_t> args(6, x);
          args[last] = y;
          args[first] = x;
          if (Decide(inner, number, args) != kAllow) continue;
          EXPECT_EQ(Decide(outer, number, args), kAllow)
              << work_class << " allows " << rule.name << " " << std::hex << x << " " << y;
        }
      }
    }
  }
}

// Of two filters the stricter action wins: a kill here would be the death of a program that its own
// filter answers with an errno.
TEST(SpawndFilter, NeverKillsForANumber) {
  const Program filter = Filter("spawnd");
  for (uint32_t number = 0; number < 600; ++number)
    EXPECT_NE(Decide(filter, number), kKill) << number;
}

TEST(SpawndFilter, NothingOfWhatNobodyHereNeeds) {
  const Program filter = Filter("spawnd");
  for (const long number :
       {SYS_ptrace, SYS_bpf, SYS_keyctl, SYS_userfaultfd, SYS_perf_event_open, SYS_init_module,
        SYS_kexec_load, SYS_reboot, SYS_clock_settime, SYS_chroot, SYS_unshare, SYS_fsopen,
        SYS_mount_setattr, SYS_open_by_handle_at, SYS_process_vm_writev, SYS_pidfd_getfd}) {
    EXPECT_EQ(Decide(filter, static_cast<uint32_t>(number)), Refuse(EPERM)) << number;
  }
  EXPECT_EQ(Decide(filter, SYS_setns, {3, CLONE_NEWUSER}), Refuse(EPERM));
  EXPECT_EQ(Decide(filter, SYS_socket, {AF_PACKET, SOCK_RAW, 0}), Refuse(EPERM));
  EXPECT_EQ(Decide(filter, SYS_socket, {AF_NETLINK, SOCK_RAW, 0}), Refuse(EPERM));
}

#endif  // __x86_64__

TEST(DaemonFilters, CompileForEveryArchitecture) {
  for (const char* daemon :
       {"krux-auditd", "kruxd", "krux-mountd", "krux-spawnd outer", "spawnd"}) {
    for (const char* arch : {"x86_64", "aarch64"})
      EXPECT_FALSE(Compile(Rules(daemon, arch), kProbeSyscall).insns.empty()) << daemon << arch;
  }
}

}  // namespace
}  // namespace krux::sandbox
