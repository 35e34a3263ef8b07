#include "gateway/confine.h"

#include <fcntl.h>
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

// The pids of workers are read from /proc/self/fdinfo where the kernel has no PIDFD_GET_INFO. The
// descriptor stays open for the life of the process: it keeps the directory's inode, which the rule
// names, from being dropped and made anew.
Result<void> AllowFdinfo(int ruleset_fd) {
  const int fdinfo = open("/proc/self/fdinfo", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fdinfo < 0) return SysError(ExitCode::kSandbox, "open fdinfo", errno);
  landlock_path_beneath_attr rule{};
  rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
  rule.parent_fd = fdinfo;
  if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    return SysError(ExitCode::kSandbox, "landlock_add_rule", errno);
  }
  return {};
}

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
  if (auto allowed = AllowFdinfo(fd); !allowed) {
    close(fd);
    return allowed;
  }
  const long restricted = syscall(SYS_landlock_restrict_self, fd, 0);
  const int err = errno;
  close(fd);
  if (restricted != 0) return SysError(ExitCode::kSandbox, "landlock_restrict_self", err);
  return {};
}

}  // namespace krux::gateway
