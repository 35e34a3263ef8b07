// Landlock: what a process may still open, connect to and signal, said by the process itself. A
// worker narrows itself to its call with it, a daemon to the folders it needs. Kernel:
// Documentation/userspace-api/landlock.rst, landlock(7).
//
//   int abi = LandlockAbi();  // at start; < kLandlockFloor: the layer is missing
//   const LandlockPath rules[] = {{"/home/u/work", true, false, false}};
//   if (int error = RestrictPaths(abi, rules, 1); error < 0) …   // after no_new_privs
//
// Every access right that the running kernel's ABI knows is handled, so what no rule names is
// refused. All functions are async-signal-safe and answer 0 or -errno.
#pragma once

#include <cstddef>
#include <cstdint>

namespace krux {

inline constexpr int kLandlockFloor = 2;  // REFER; Linux 5.19
inline constexpr int kLandlockNewest =
    7;  // newest ABI in the table; a newer kernel is used as this one

struct LandlockPath {
  const char* path;  // inside the sandbox; must exist
  bool read;         // read files, list directories
  bool write;        // write, truncate, create and remove files, directories and links, rename
  bool exec;         // execute files; the kernel asks for reading too, so it needs `read` beside it
  bool list = false;  // list directories, and no more; part of `read`
};

// What one ABI handles.
struct LandlockRights {
  uint64_t fs;      // LANDLOCK_ACCESS_FS_*
  uint64_t net;     // LANDLOCK_ACCESS_NET_*; 0 below ABI 4
  uint64_t scoped;  // LANDLOCK_SCOPE_*; 0 below ABI 6
};
LandlockRights HandledRights(int abi);

// The kernel's Landlock ABI, at most kLandlockNewest; -errno (ENOSYS, EOPNOTSUPP) without Landlock.
int LandlockAbi();

// Puts the calling thread into a new domain that allows `rules` and nothing else: no TCP port
// (ABI ≥ 4), no device ioctl (ABI ≥ 5), no abstract socket and no signal out of the domain (ABI ≥
// 6). A rule that cannot be added fails the whole; the domain is then not entered.
int RestrictPaths(int abi, const LandlockPath* rules, size_t n);

// The same without a word about files: no TCP, no abstract socket and no signal out of the domain.
// For a process that mounts, which the kernel refuses below any domain that handles files (EPERM).
// 0 and no domain below ABI 4, where there is nothing to handle.
int RestrictNetworkAndScopes(int abi);

}  // namespace krux
