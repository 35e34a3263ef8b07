// What makes a client's directory fit to be WORK. Everything that could ask the file system a
// question comes after the mount's type is known, and runs in a child with a deadline: a FUSE or
// NFS server that never answers must not hold krux-mountd.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace krux::sandbox {

struct CheckedWork {
  std::string path;
  uint64_t device = 0;
  uint64_t inode = 0;
  UniqueFd directory;  // O_PATH, re-opened by path and found to be the same directory
};

// `mountinfo` is a descriptor of the client's mount tree's mountinfo (proc(5)), read anew each
// time. Errors: kDenied for a file system krux does not enter, kConfig for a directory that holds
// or lies in one of the `protected_dirs`, kTimeout when the file system does not answer within two
// seconds.
Result<CheckedWork> CheckWork(int work_fd, int mountinfo_fd,
                              const std::vector<std::string>& protected_dirs);

}  // namespace krux::sandbox
