// krux-mountd --channel-fd N --lifeline-fd N --worker-id N [--protect DIR]…

#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>

#include "base/injection.h"
#include "base/self_confine.h"
#include "sandbox/caps.h"
#include "sandbox/flags.h"
#include "sandbox/mountd.h"
#include "sandbox/mountd_filters.h"

namespace {

krux::Result<void> Confine() {
  using namespace krux::sandbox;
  // Without privilege there is nothing to give up yet; what a rootless krux-mountd gains when it
  // joins krux-spawnd's user namespace it reduces there.
  if (geteuid() == 0) {
    if (const int error = KeepCapabilities(kMountdCapabilities | kMountdJoinCapabilities);
        error < 0)
      return krux::SysError(krux::ExitCode::kSandbox, "capabilities", -error);
  }
  return krux::ConfineSelf({.filter = &generated::kMountdFilter, .mounts = true});
}

}  // namespace

int main(int argc, char** argv) {
  using namespace krux::sandbox;
  krux::injection::TakeFlags(&argc, argv);
  MountdOptions options;
  options.channel_fd = FlagFd(argc, argv, "--channel-fd");
  options.lifeline_fd = FlagFd(argc, argv, "--lifeline-fd");
  if (const char* id = FlagValue(argc, argv, "--worker-id")) {
    options.worker_id = static_cast<uint32_t>(std::strtoul(id, nullptr, 10));
  }
  for (int n = 0; const char* dir = FlagValue(argc, argv, "--protect", n); ++n)
    options.protected_dirs.emplace_back(dir);
#ifdef KRUX_TEST_HOOKS
  constexpr struct {
    const char* word;
    uint64_t attribute;
  } kAttributes[] = {{"ro", MOUNT_ATTR_RDONLY},
                     {"nosuid", MOUNT_ATTR_NOSUID},
                     {"nodev", MOUNT_ATTR_NODEV},
                     {"noexec", MOUNT_ATTR_NOEXEC}};
  for (int n = 0; const char* word = FlagValue(argc, argv, "--test-without", n); ++n) {
    for (const auto& row : kAttributes) {
      if (std::strcmp(word, row.word) == 0) options.test_without |= row.attribute;
    }
  }
  options.test_swap_owner = FlagSet(argc, argv, "--test-swap-owner");
#endif
  if (options.channel_fd < 0) {
    std::fputs("krux-mountd: started by `krux gateway`, not by hand\n", stderr);
    return krux::ToInt(krux::ExitCode::kUsage);
  }
  if (const auto confined = Confine(); !confined) {
    std::fprintf(stderr, "krux-mountd: %s\n", confined.error().message.c_str());
    return krux::ToInt(krux::ExitCode::kSandbox);
  }
  krux::injection::Run();
  return RunMountd(options);
}
