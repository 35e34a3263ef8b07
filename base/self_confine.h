// ConfineSelf: how a daemon of krux gives up what it does not need, before it reads its first byte.
//
//   KRUX_TRY(ConfineSelf({.filter = &generated::kAuditdFilter,
//                         .read_write = {"/var/lib/krux/audit"}}));
//
// no_new_privs, not dumpable, Landlock (the named folders, no TCP, no abstract socket, no signal to
// a process outside), and last a seccomp filter, which answers for itself that it is the one that
// was meant. Where the kernel has no Landlock (below ABI 2) that part is left out and said on
// stderr: krux doctor names it, and no call runs on such a kernel unless the operator allows it.
//
// Sanitized builds load no filter: their runtime is not on any list. Nothing else differs.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/seccomp/filter.h"

namespace krux {

struct SelfConfinement {
  const CompiledFilter* filter = nullptr;   // null: a test's
  std::vector<std::string> read_only = {};  // files or folders; each must exist
  std::vector<std::string> read_write = {};
  bool mounts = false;  // a process that mounts: Landlock must not handle files (EPERM otherwise)
};

// Error code kSandbox: the daemon must not go on.
Result<void> ConfineSelf(const SelfConfinement& confinement);

}  // namespace krux
