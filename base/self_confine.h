// ConfineSelf: how a daemon of krux gives up what it does not need, before it reads its first byte.
//
//   KRUX_TRY(ConfineSelf({.read_write = {"/var/lib/krux/audit"}}));
//
// no_new_privs, not dumpable, and Landlock: the named folders, no TCP, no abstract socket, no
// signal to a process outside. Where the kernel has no Landlock (below ABI 2) that part is left out
// and said on stderr: krux doctor names it, and no call runs on such a kernel unless the operator
// allows it.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace krux {

struct SelfConfinement {
  std::vector<std::string> read_only = {};  // files or folders; each must exist
  std::vector<std::string> read_write = {};
  bool mounts = false;  // a process that mounts: Landlock must not handle files (EPERM otherwise)
};

// Error code kSandbox: the daemon must not go on.
Result<void> ConfineSelf(const SelfConfinement& confinement);

}  // namespace krux
