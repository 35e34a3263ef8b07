#include "base/self_confine.h"

#include <sys/prctl.h>

#include <cerrno>
#include <cstdio>

#include "base/injection.h"
#include "base/landlock.h"

namespace krux {
namespace {

Result<void> EnterLandlock(const SelfConfinement& confinement) {
  const int abi = LandlockAbi();
  if (abi < kLandlockFloor) {
    std::fputs("krux: this kernel has no Landlock of ABI 2; the daemons go without their own\n",
               stderr);
    return {};
  }
  std::vector<LandlockPath> rules;
  for (const std::string& path : confinement.read_only)
    rules.push_back({path.c_str(), true, false, false});
  for (const std::string& path : confinement.read_write)
    rules.push_back({path.c_str(), true, true, false});
  const int error = confinement.mounts ? RestrictNetworkAndScopes(abi)
                                       : RestrictPaths(abi, rules.data(), rules.size());
  if (error < 0) return SysError(ExitCode::kSandbox, "landlock", -error);
  return {};
}

}  // namespace

Result<void> ConfineSelf(const SelfConfinement& confinement) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return SysError(ExitCode::kSandbox, "no_new_privs", errno);
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    return SysError(ExitCode::kSandbox, "dumpable", errno);
  if (!injection::LeftOut("landlock")) KRUX_TRY(EnterLandlock(confinement));
#ifndef KRUX_SANITIZED
  if (confinement.filter != nullptr && !injection::LeftOut("seccomp")) {
    if (const int error = LoadFilterAndProve(*confinement.filter); error < 0)
      return SysError(ExitCode::kSandbox, "seccomp", -error);
  }
#endif
  return {};
}

}  // namespace krux
