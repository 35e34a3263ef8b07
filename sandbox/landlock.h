// Landlock: the last narrowing of one call, from the session's template to this call's paths.
// Kernel: Documentation/userspace-api/landlock.rst, landlock(7).
//
//   int abi = LandlockAbi();                                     // at start; < kLandlockFloor:
//   missing layer const LandlockPath rules[] = {{"/home/u/work", true, false, false}}; if (int
//   error = RestrictPaths(abi, rules, 1); error < 0) ... // child, after no_new_privs if (int error
//   = ProbeCanary("/.krux-canary"); error < 0) ... // is there a domain at all? if (int error =
//   ProbeGranted("/home/u/work"); error < 0) ... // and does it let the grant pass?
//
// Every access right that the running kernel's ABI knows is handled, so what no rule names is
// refused. All functions are async-signal-safe and answer 0 or -errno.
#pragma once

#include <cstddef>
#include <cstdint>

namespace krux::sandbox {

inline constexpr int kLandlockFloor = 2;  // REFER; Linux 5.19
inline constexpr int kLandlockNewest =
    7;  // newest ABI in the table; a newer kernel is used as this one

struct LandlockPath {
  const char* path;  // inside the sandbox; must exist
  bool read;         // read files, list directories
  bool write;        // write, truncate, create and remove files, directories and links, rename
  bool exec;         // execute files; the kernel asks for reading too, so it needs `read` beside it
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

// 0 if opening `path` for reading is refused with EACCES; -EPROTO if it opens; else -errno (ENOENT:
// the template has no such file, so nothing is shown). `path` must be a file that no rule covers
// and that is readable by everybody: a file mode that refuses would be taken for Landlock.
int ProbeCanary(const char* path);
// 0 if `path` opens for reading (file or directory), else -errno.
int ProbeGranted(const char* path);
// 0 if TCP connect(2) and bind(2) are both refused with EACCES (ABI ≥ 4), -EPROTO if not. Only
// where the class has socket(2): without it the answer is the error of socket(2).
int ProbeTcpRefused();
// 0 if connecting to an abstract socket outside the domain is refused with EPERM (ABI ≥ 6). `name`
// is without the leading zero and must be listening.
int ProbeAbstractRefused(const char* name, size_t size);

}  // namespace krux::sandbox
