// DiskOf: the disk under a file system, as io.max of cgroup v2 names it. io.max knows whole disks
// and no partitions, and many file systems have none at all.
//
//   std::string disk = DiskOf(st.st_dev);   // "8:0"; "" for tmpfs, overlayfs, btrfs, the network
#pragma once

#include <cstdint>
#include <string>

namespace krux::sandbox {

// `sys`: where sysfs lists the block devices by number, sysfs(5).
std::string DiskOf(uint64_t device, const std::string& sys = "/sys/dev/block");

}  // namespace krux::sandbox
