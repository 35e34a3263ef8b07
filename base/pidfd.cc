#include "base/pidfd.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace krux {

Result<Pidfd> Pidfd::Open(pid_t pid) {
  const long fd = syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0) return SysError(ExitCode::kInternal, "pidfd_open", errno);
  return Pidfd(UniqueFd(static_cast<int>(fd)));
}

Result<void> Pidfd::Kill(int signal) const {
  if (syscall(SYS_pidfd_send_signal, fd_.get(), signal, nullptr, 0) != 0 && errno != ESRCH) {
    return SysError(ExitCode::kInternal, "pidfd_send_signal", errno);
  }
  return {};
}

Result<ExitReport> Pidfd::Wait() const {
  siginfo_t info{};
  rusage usage{};
  long done;
  do {
    // The raw call: its fifth argument is the rusage that waitid(3) does not hand out.
    done = syscall(SYS_waitid, P_PIDFD, fd_.get(), &info, WEXITED, &usage);
  } while (done != 0 && errno == EINTR);
  if (done != 0) return SysError(ExitCode::kInternal, "waitid", errno);
  const auto micros = [](const timeval& t) {
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000u + static_cast<uint64_t>(t.tv_usec);
  };
  return ExitReport{info.si_code != CLD_EXITED,
                    info.si_status,
                    micros(usage.ru_utime) + micros(usage.ru_stime),
                    static_cast<uint64_t>(usage.ru_maxrss),
                    static_cast<uint64_t>(usage.ru_inblock) * 512,
                    static_cast<uint64_t>(usage.ru_oublock) * 512};
}

namespace {

// include/uapi/linux/pidfd.h since Linux 6.13; the first 64 bytes never change.
struct PidfdInfo {
  uint64_t mask, cgroup_id;
  uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);

}  // namespace

Result<pid_t> Pidfd::Pid() const {
  PidfdInfo info{};
  info.mask = 1;  // PIDFD_INFO_PID
  if (ioctl(fd_.get(), kPidfdGetInfo, &info) == 0) return static_cast<pid_t>(info.pid);
  return PidFromFdinfo();
}

Result<pid_t> Pidfd::PidFromFdinfo() const {
  char path[64];
  std::snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd_.get());
  UniqueFd info(open(path, O_RDONLY | O_CLOEXEC));
  if (!info.valid()) return SysError(ExitCode::kInternal, "open fdinfo", errno);
  char text[512] = {};
  if (read(info.get(), text, sizeof(text) - 1) < 0)
    return SysError(ExitCode::kInternal, "read fdinfo", errno);
  const char* line = std::strstr(text, "\nPid:");
  if (line == nullptr) return Fail(ExitCode::kInternal, "fdinfo", "descriptor is not a pidfd");
  const long pid = std::strtol(line + 5, nullptr, 10);
  return pid > 0 ? static_cast<pid_t>(pid) : 0;
}

}  // namespace krux
