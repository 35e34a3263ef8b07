#include "gateway/supervisor/daemon.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>

namespace krux::gateway {
namespace {

// What the child says on the CLOEXEC pipe when it cannot become the daemon.
struct Failure {
  char stage[24];
  int sys_errno;
};

// Everything of the child, made before clone3(2): after it only async-signal-safe calls.
struct Prepared {
  std::vector<char*> argv;
  std::vector<int> inherit;
  int program;
  int log;
  int null;
  int report;
  uid_t id;
  bool change_id;
  int orphan_signal;
  pid_t parent;
};

[[noreturn]] void Report(int fd, const char* stage) {
  Failure failure{{}, errno};
  for (size_t i = 0; i + 1 < sizeof(failure.stage) && stage[i] != '\0'; ++i)
    failure.stage[i] = stage[i];
  [[maybe_unused]] const ssize_t written = write(fd, &failure, sizeof(failure));
  _exit(127);
}

[[noreturn]] void Become(const Prepared& p) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  // A session of its own: Ctrl-C in the supervisor's terminal must end the daemons in order, not at
  // once.
  setsid();
  umask(077);
  if (chdir("/") != 0) Report(p.report, "chdir");
  if (dup2(p.null, 0) < 0 || dup2(p.log, 1) < 0 || dup2(p.log, 2) < 0) Report(p.report, "dup2");
  if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) != 0) Report(p.report, "close_range");
  for (const int fd : p.inherit) {
    if (fcntl(fd, F_SETFD, 0) != 0) Report(p.report, "inherit");
  }
  // The bare calls: the wrappers of libc would signal threads that this child does not have.
  if (p.change_id) {
    if (syscall(SYS_setgroups, 0, nullptr) != 0) Report(p.report, "setgroups");
    if (syscall(SYS_setresgid, p.id, p.id, p.id) != 0) Report(p.report, "setresgid");
    if (syscall(SYS_setresuid, p.id, p.id, p.id) != 0) Report(p.report, "setresuid");
  }
  // After the change of ids, which clears it (prctl(2)).
  if (prctl(PR_SET_PDEATHSIG, p.orphan_signal, 0, 0, 0) != 0) Report(p.report, "pdeathsig");
  if (getppid() != p.parent) _exit(127);
  char path[] = "PATH=/usr/bin:/bin";
  char locale[] = "LC_ALL=C.UTF-8";
  char* const environment[] = {path, locale, nullptr};
  syscall(SYS_execveat, p.program, "", p.argv.data(), environment, AT_EMPTY_PATH);
  Report(p.report, "execveat");
}

}  // namespace

Result<Daemon> StartDaemon(const DaemonSpec& spec) {
  std::vector<std::string> words{spec.name};
  words.insert(words.end(), spec.arguments.begin(), spec.arguments.end());
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return SysError(ExitCode::kInternal, "pipe2", errno);
  UniqueFd read_end(pipe_fds[0]);
  UniqueFd write_end(pipe_fds[1]);
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return SysError(ExitCode::kInternal, "open /dev/null", errno);
  Prepared prepared{
      {},      spec.inherit,         spec.program,       spec.log, null.get(), write_end.get(),
      spec.id, spec.id != geteuid(), spec.orphan_signal, getpid()};
  for (std::string& word : words) prepared.argv.push_back(word.data());
  prepared.argv.push_back(nullptr);

  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  if (spec.cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(spec.cgroup);
  }
  const pid_t pid = static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof(args)));
  if (pid < 0) return SysError(ExitCode::kSandbox, "clone3 " + spec.name, errno);
  if (pid == 0) Become(prepared);
  write_end.reset();
  Daemon daemon{spec.name, pid, Pidfd(UniqueFd(pidfd))};
  Failure failure{};
  ssize_t got;
  while ((got = read(read_end.get(), &failure, sizeof(failure))) < 0 && errno == EINTR) {
  }
  if (got == 0) return daemon;  // closed by exec
  (void)daemon.pidfd.Wait();
  return SysError(ExitCode::kInternal, "start " + spec.name + ": " + failure.stage,
                  failure.sys_errno);
}

Result<UniqueFd> OpenProgram(const std::string& dir, const std::string& name) {
  const std::string path = dir + "/" + name;
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid())
    return SysError(ExitCode::kConfig, "open `" + path + "`", errno,
                    "set KRUX_LIBEXEC_DIR to the folder of krux's daemons");
  struct stat st{};
  if (fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0) {
    return Fail(ExitCode::kConfig, "daemon", "`" + path + "` is not a program");
  }
  return fd;
}

Result<std::string> FindLibexecDir(const std::string& named) {
  if (!named.empty()) return named;
  const char* from_environment = getenv("KRUX_LIBEXEC_DIR");  // NOLINT(concurrency-mt-unsafe)
  if (from_environment != nullptr && *from_environment == '/') return std::string(from_environment);
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  if (length <= 0 || static_cast<size_t>(length) >= sizeof(path)) {
    return SysError(ExitCode::kConfig, "find the folder of krux's daemons", errno);
  }
  const std::string program(path, static_cast<size_t>(length));
  return program.substr(0, program.rfind('/'));
}

}  // namespace krux::gateway
