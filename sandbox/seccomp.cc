#include "sandbox/seccomp.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/worker_filters.h"

namespace krux::sandbox {

const CompiledFilter& FilterFor(WorkClass work_class) {
  switch (work_class) {
    case WorkClass::kFs:
      return generated::kFsFilter;
    case WorkClass::kWrite:
      return generated::kWriteFilter;
    case WorkClass::kExec:
      break;
  }
  return generated::kExecFilter;
}

const CompiledFilter& WatchFilter() { return generated::kWatchFilter; }

int ProbeSocketRefused() {
  for (const int domain : {AF_UNIX, AF_INET, AF_NETLINK}) {
    const int fd = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) close(fd);
    if (fd >= 0 || errno != EPERM) return -EPROTO;
  }
  return 0;
}

}  // namespace krux::sandbox
