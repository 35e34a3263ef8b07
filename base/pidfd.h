// Pidfd: a process one started, held by descriptor, so that its number cannot be reused under us.
// pidfd_open(2), pidfd_send_signal(2), waitid(2) P_PIDFD.
//
//   Pidfd child(UniqueFd(raw_pidfd));
//   KRUX_TRY(child.Kill(SIGKILL));
//   ExitReport report = KRUX_TRY(child.Wait());
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/error.h"
#include "base/unique_fd.h"

namespace krux {

struct ExitReport {
  bool signaled = false;
  int status = 0;            // exit status, or the signal number
  uint64_t cpu_us = 0;       // user and system time, microseconds
  uint64_t max_rss_kib = 0;  // ru_maxrss, KiB (getrusage(2)), of the largest process
  // From and to block devices, with all waited-for descendants; what is written into the page cache
  // counts when it is dirtied, tmpfs never does (ru_inblock, ru_oublock).
  uint64_t read_bytes = 0, written_bytes = 0;
};

class Pidfd {
 public:
  Pidfd() = default;
  explicit Pidfd(UniqueFd fd) : fd_(std::move(fd)) {}
  static Result<Pidfd> Open(pid_t pid);

  Result<void> Kill(int signal) const;  // a process that is already gone is not an error
  Result<ExitReport> Wait() const;      // blocks; the process must be our child
  // In the reader's pid namespace; 0 if the process is not visible there. PIDFD_GET_INFO, and
  // before Linux 6.13 /proc/self/fdinfo (pidfd_open(2)).
  Result<pid_t> Pid() const;

  int fd() const { return fd_.get(); }
  bool valid() const { return fd_.valid(); }
  UniqueFd TakeFd() { return std::move(fd_); }

 private:
  Result<pid_t> PidFromFdinfo() const;
  UniqueFd fd_;
};

}  // namespace krux
