// krux-mountd: the one process that keeps the host's mount tree. It hands out detached mounts and
// nothing else: a WORK that a client opened itself, and read-only program trees from its own list.
#pragma once

#include <string>
#include <vector>

#include "base/channel.h"

namespace krux::sandbox {

struct MountdOptions {
  int channel_fd = -1;                      // to krux-spawnd
  int lifeline_fd = -1;                     // end of file = the supervisor is gone
  uint32_t worker_id = 0;                   // outer uid and gid of workers; rootless: the caller's
  std::vector<std::string> protected_dirs;  // krux's own folders: WORK may not overlap them
  uint64_t test_without = 0;                // test build only: MOUNT_ATTR_* that mounts do not get
  bool test_swap_owner = false;  // test build only: maps the owner of WORK, not the caller
};

// Serves until the channel or the lifeline ends. Returns the exit status.
int RunMountd(const MountdOptions& options);

}  // namespace krux::sandbox
