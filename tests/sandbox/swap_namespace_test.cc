// The process that carries the id map's user namespace until it was taken: it must not outlive
// krux-mountd, whenever that is killed.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/idmap.h"

namespace krux::sandbox {
namespace {

// A process that waits for one byte and then makes a namespace; it is traced meanwhile, so that it
// stops at the moment when the holder exists and nothing else has happened.
pid_t StartMaker(int go) {
  const pid_t maker = fork();
  if (maker == 0) {
    char byte = 0;
    if (read(go, &byte, 1) != 1) _exit(1);
    (void)MakeSwapNamespace(1000, 1000, 1100);
    _exit(0);
  }
  return maker;
}

// Runs the maker up to its clone(2) and returns the pid of what it made; 0 where it made nothing.
pid_t RunToHolder(pid_t maker) {
  int status = 0;
  while (waitpid(maker, &status, __WALL) == maker && WIFSTOPPED(status)) {
    const int event = status >> 16;
    if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_CLONE) {
      unsigned long pid = 0;
      ptrace(PTRACE_GETEVENTMSG, maker, nullptr, &pid);
      return static_cast<pid_t>(pid);
    }
    ptrace(PTRACE_CONT, maker, nullptr, nullptr);
  }
  return 0;
}

TEST(SwapNamespace, ItsHolderEndsWithAMakerThatIsKilled) {
  // The holder comes to this process when its maker is gone, and can be waited for.
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  const pid_t maker = StartMaker(go[0]);
  constexpr long kOptions = PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
  ASSERT_EQ(ptrace(PTRACE_SEIZE, maker, nullptr, kOptions), 0);
  ASSERT_EQ(write(go[1], "g", 1), 1);
  const pid_t holder = RunToHolder(maker);
  ASSERT_GT(holder, 0) << "no user namespace can be made here";
  int status = 0;
  ASSERT_EQ(waitpid(holder, &status, __WALL), holder);
  ASSERT_TRUE(WIFSTOPPED(status));

  ASSERT_EQ(kill(maker, SIGKILL), 0);
  ASSERT_EQ(waitpid(maker, &status, __WALL), maker);
  ASSERT_EQ(ptrace(PTRACE_DETACH, holder, nullptr, nullptr), 0);
  pid_t ended = 0;
  for (int waited = 0; ended == 0 && waited < 5'000; waited += 10) {
    ended = waitpid(holder, &status, WNOHANG | __WALL);
    if (ended == 0) poll(nullptr, 0, 10);
  }
  EXPECT_EQ(ended, holder) << "it lives on";
  if (ended != holder) {
    kill(holder, SIGKILL);
    waitpid(holder, &status, __WALL);
  }
  close(go[0]);
  close(go[1]);
}

}  // namespace
}  // namespace krux::sandbox
