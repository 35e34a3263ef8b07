#include "tests/escape/control.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/pidfd.h"
#include "sandbox/namespaces.h"

namespace krux::sandbox {
namespace {

constexpr int kDeadlineMs = 10'000;
constexpr int kLeftOpen = 200;  // the descriptor that a careless starter would have left open

// A terminal of its own, whose typing the program could fake.
void BecomeTerminalSession(const char* terminal) {
  setsid();
  const int fd = open(terminal, O_RDWR);
  if (fd >= 0) dup2(fd, 0);
}

[[noreturn]] void BecomeProgram(const Scene& scene, bool as_root, const char* terminal, int out) {
  BecomeTerminalSession(terminal);
  dup2(out, 1);
  dup2(out, kLeftOpen);
  const uint32_t id = scene.caller();
  if (!as_root &&
      (setgroups(0, nullptr) != 0 || setresgid(id, id, id) != 0 || setresuid(id, id, id) != 0))
    _exit(90);
  if (chdir(scene.work().path().c_str()) != 0) _exit(91);
  std::vector<std::string> command = scene.Command();
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(92);
}

// pid 1 of a pid namespace with a proc of its own; the program is its child.
[[noreturn]] void BecomeInit(const Scene& scene, bool as_root, const char* terminal, int out) {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("proc", "/proc", "proc", 0, nullptr) != 0) {
    _exit(93);
  }
  const pid_t pid = fork();
  if (pid == 0) BecomeProgram(scene, as_root, terminal, out);
  waitpid(pid, nullptr, 0);
  _exit(0);
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[1024];
  for (;;) {
    pollfd p{fd, POLLIN, 0};
    if (poll(&p, 1, kDeadlineMs) <= 0) return text + "(no end)";
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got <= 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

}  // namespace

std::string RunUnconfined(const Scene& scene, Control control) {
  const UniqueFd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  char terminal[64] = "/dev/null";
  if (master.valid() && grantpt(master.get()) == 0 && unlockpt(master.get()) == 0) {
    (void)ptsname_r(master.get(), terminal, sizeof terminal);
  }
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) return "no pipe";
  const UniqueFd read_end(out[0]);
  UniqueFd write_end(out[1]);
  const bool apart = control != Control::kOnHost;
  Result<Cloned> child = CloneProcess(apart ? CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS : 0, -1);
  if (!child) return child.error().message;
  if (child->pid == 0) {
    if (apart) BecomeInit(scene, control == Control::kRoot, terminal, write_end.get());
    BecomeProgram(scene, false, terminal, write_end.get());
  }
  write_end.reset();
  std::string said = ReadAll(read_end.get());
  const Pidfd process(std::move(child->pidfd));
  (void)process.Kill(SIGKILL);
  (void)process.Wait();
  return said;
}

}  // namespace krux::sandbox
