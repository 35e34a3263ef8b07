#include "gateway/confine.h"

#include <fcntl.h>

#include <cerrno>

#include "base/self_confine.h"
#include "gateway/seccomp_filters.h"

namespace krux::gateway {

Result<void> ConfineDaemon() {
  // The pids of workers are read from /proc/self/fdinfo where the kernel has no PIDFD_GET_INFO. The
  // descriptor stays open for the life of the process: it keeps the directory's inode, which the
  // rule names, from being dropped and made anew.
  const int fdinfo = open("/proc/self/fdinfo", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fdinfo < 0) return SysError(ExitCode::kSandbox, "open fdinfo", errno);
  return ConfineSelf({.filter = &generated::kKruxdFilter, .read_only = {"/proc/self/fdinfo"}});
}

}  // namespace krux::gateway
