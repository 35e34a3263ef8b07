#include "gateway/confine.h"

#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"

namespace krux::gateway {
namespace {

// Every file access that the ABI knows (linux/landlock.h, and newer ABIs by number).
uint64_t FileAccess(int abi) {
  uint64_t access = (1ull << 13) - 1;      // ABI 1: execute … make_sym
  if (abi >= 2) access |= 1ull << 13;      // refer
  if (abi >= 3) access |= 1ull << 14;      // truncate
  if (abi >= 5) access |= 1ull << 15;      // ioctl_dev
  return access;
}

// The ruleset of ABI 4, whatever the headers of the build machine know.
struct Ruleset {
  uint64_t handled_access_fs = 0;
  uint64_t handled_access_net = 0;  // ABI 4: TCP bind and connect
};

}  // namespace

Result<void> ConfineDaemon() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return SysError(ExitCode::kSandbox, "no_new_privs", errno);
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return SysError(ExitCode::kSandbox, "dumpable", errno);
  const int abi = static_cast<int>(
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION));
  if (abi < 1) {
    Log(LogLevel::kWarning, "kruxd", "the kernel has no Landlock; kruxd runs without its own");
    return {};
  }
  const Ruleset ruleset{FileAccess(abi), abi >= 4 ? 3ull : 0ull};
  const size_t size = abi >= 4 ? sizeof(ruleset) : sizeof(uint64_t);
  const int fd = static_cast<int>(syscall(SYS_landlock_create_ruleset, &ruleset, size, 0));
  if (fd < 0) return SysError(ExitCode::kSandbox, "landlock_create_ruleset", errno);
  const long restricted = syscall(SYS_landlock_restrict_self, fd, 0);
  const int err = errno;
  close(fd);
  if (restricted != 0) return SysError(ExitCode::kSandbox, "landlock_restrict_self", err);
  return {};
}

}  // namespace krux::gateway
