// Capabilities and prctl attributes, read back by /proc/self/status in forked children that have
// all capabilities in a user namespace of their own, as a worker has at first.
#include "sandbox/caps.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "tests/sandbox/child.h"

namespace krux::sandbox {
namespace {

using testing::RunInChild;

std::string Status(const std::string& field) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(field + ":\t")) return line.substr(field.size() + 2);
  }
  return "absent";
}

bool EnterUserNamespace() {
  const uid_t uid = geteuid();
  if (unshare(CLONE_NEWUSER) != 0) return false;
  std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1";
  return geteuid() == 0;
}

constexpr char kNone[] = "0000000000000000";

TEST(Caps, NothingIsLeftInAnySet) {
  EXPECT_EQ(RunInChild([] {
              CHILD_EXPECT(EnterUserNamespace());
              CHILD_EXPECT(Status("CapBnd") != kNone && Status("CapEff") != kNone);
              CHILD_EXPECT(DropBoundingSet() == 0);
              CHILD_EXPECT(Status("CapBnd") == kNone);
              CHILD_EXPECT(LockSecurebits() == 0);
              CHILD_EXPECT(DropAllCapabilities() == 0);
              for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
                CHILD_EXPECT(Status(set) == kNone);
              }
              CHILD_EXPECT(sethostname("x", 1) < 0 && errno == EPERM);
              return 0;
            }),
            0);
}

// An inheritable and an ambient capability are what execve would carry on.
TEST(Caps, AmbientAndInheritableAreCleared) {
  EXPECT_EQ(RunInChild([] {
              CHILD_EXPECT(EnterUserNamespace());
              __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
              __user_cap_data_struct data[2] = {};
              CHILD_EXPECT(syscall(SYS_capget, &header, data) == 0);
              data[0].inheritable = data[0].permitted;
              CHILD_EXPECT(syscall(SYS_capset, &header, data) == 0);
              CHILD_EXPECT(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) == 0);
              CHILD_EXPECT(Status("CapAmb") != kNone && Status("CapInh") != kNone);
              CHILD_EXPECT(DropAllCapabilities() == 0);
              CHILD_EXPECT(Status("CapAmb") == kNone && Status("CapInh") == kNone);
              return 0;
            }),
            0);
}

TEST(Caps, SecurebitsCannotBeTakenBack) {
  EXPECT_EQ(RunInChild([] {
              CHILD_EXPECT(EnterUserNamespace());
              CHILD_EXPECT(LockSecurebits() == 0);
              CHILD_EXPECT(prctl(PR_GET_SECUREBITS) == ExpectedSecurebits());
              CHILD_EXPECT(prctl(PR_SET_SECUREBITS, 0) < 0 && errno == EPERM);
              CHILD_EXPECT(prctl(PR_SET_KEEPCAPS, 1) < 0 && errno == EPERM);
              CHILD_EXPECT(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) < 0);
              return 0;
            }),
            0);
}

// uid 0 that executes a program gets its capabilities back, unless NOROOT and the bounding set say
// no.
TEST(Caps, ExecveAsRootGivesNothingBack) {
  EXPECT_EQ(
      RunInChild([] {
        CHILD_EXPECT(EnterUserNamespace());
        CHILD_EXPECT(DropBoundingSet() == 0 && LockSecurebits() == 0 && DropAllCapabilities() == 0);
        const pid_t pid = fork();
        if (pid == 0) {
          execl("/bin/grep", "grep", "-q", "CapPrm:\t0000000000000000", "/proc/self/status",
                nullptr);
          _exit(126);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        return status;
      }),
      0);
}

TEST(Caps, WithoutSetpcapTheStepFails) {
  EXPECT_EQ(RunInChild([] {
              CHILD_EXPECT(EnterUserNamespace());
              CHILD_EXPECT(DropAllCapabilities() == 0);
              CHILD_EXPECT(DropBoundingSet() == -EPERM);
              CHILD_EXPECT(LockSecurebits() == -EPERM);
              return 0;
            }),
            0);
}

TEST(Caps, SelfFactsSayWhatWasSet) {
  EXPECT_EQ(RunInChild([] {
              SelfFacts facts{};
              CHILD_EXPECT(EnterUserNamespace());
              CHILD_EXPECT(ReadSelfFacts(&facts) == 0);
              CHILD_EXPECT(facts.securebits == 0 && facts.no_new_privs == 0 &&
                           facts.parent_death_signal == 0);
              CHILD_EXPECT(LockSecurebits() == 0 && SetNoNewPrivs() == 0 && SetNotDumpable() == 0);
              CHILD_EXPECT(SetParentDeathSignal(SIGKILL) == 0);
              CHILD_EXPECT(ReadSelfFacts(&facts) == 0);
              CHILD_EXPECT(facts.securebits == ExpectedSecurebits() && facts.no_new_privs == 1);
              CHILD_EXPECT(facts.dumpable == 0 && facts.parent_death_signal == SIGKILL);
              CHILD_EXPECT(Status("NoNewPrivs") == "1");
              return 0;
            }),
            0);
}

TEST(Caps, TheChildDiesWithItsParent) {
  int alive[2];
  ASSERT_EQ(pipe2(alive, O_CLOEXEC), 0);
  const pid_t parent = fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    int ready[2];
    if (pipe(ready) != 0) _exit(1);
    if (fork() == 0) {
      char byte = SetParentDeathSignal(SIGKILL) == 0 ? '0' : '1';
      if (write(ready[1], &byte, 1) != 1) _exit(1);
      alarm(20);
      for (;;) pause();
    }
    char byte = 0;
    _exit(read(ready[0], &byte, 1) == 1 && byte == '0' ? 0 : 1);
  }
  close(alive[1]);
  int status = -1;
  ASSERT_EQ(waitpid(parent, &status, 0), parent);
  EXPECT_EQ(status, 0);
  // The grandchild holds the other end of the pipe: end of file means that it is gone.
  pollfd wait = {alive[0], POLLIN, 0};
  EXPECT_EQ(poll(&wait, 1, 10'000), 1);
  EXPECT_TRUE((wait.revents & POLLHUP) != 0);
  close(alive[0]);
}

}  // namespace
}  // namespace krux::sandbox
