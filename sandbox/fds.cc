#include "sandbox/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace krux::sandbox {

int KeepFds(const int* fds, size_t n, bool close_on_exec) {
  int copies[kMaxKeptFds];
  if (n > kMaxKeptFds) return -E2BIG;
  const int count = static_cast<int>(n);
  // First above the target range, so that no move overwrites one that is still to come.
  for (size_t i = 0; i < n; i++) {
    copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, count);
    if (copies[i] < 0) return -errno;
  }
  for (int i = 0; i < count; i++) {
    const int flags = close_on_exec && i > 2 ? O_CLOEXEC : 0;
    if (dup3(copies[i], i, flags) < 0) return -errno;
  }
  return syscall(SYS_close_range, static_cast<unsigned>(count), ~0u, 0u) < 0 ? -errno : 0;
}

}  // namespace krux::sandbox
