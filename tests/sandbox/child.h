// RunInChild: runs a function in a forked process and answers what became of it.
//
//   EXPECT_EQ(RunInChild([] { return geteuid() == 0 ? 0 : __LINE__; }), 0);
//
// The function returns 0 or a line number; the answer is that number, or 1000 + the signal. A child
// that hangs is ended by its own alarm(2) after 20 seconds.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace krux::sandbox::testing {

template <typename F>
int RunInChild(F&& body) {
  // Exit statuses have 8 bits, line numbers more: the answer goes through shared memory.
  int* answer = static_cast<int*>(
      mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (answer == MAP_FAILED) return -1;
  *answer = -2;
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(20);
    *answer = body();
    // Not _exit(2): before a call that does not return AddressSanitizer makes system calls of its
    // own, which the filters under test refuse.
    for (;;) syscall(SYS_exit_group, 0);
  }
  int status = 0;
  int result = -3;
  if (pid > 0 && waitpid(pid, &status, 0) == pid) {
    result = WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : *answer;
  }
  munmap(answer, sizeof(int));
  return result;
}

// Inside a body: leaves with the line number where `condition` is false.
#define CHILD_EXPECT(condition)        \
  do {                                 \
    if (!(condition)) return __LINE__; \
  } while (false)

}  // namespace krux::sandbox::testing
