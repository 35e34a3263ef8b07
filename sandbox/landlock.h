// Probes of Landlock: the kernel shows no domain to anybody (no file in /proc, no system call), so
// a worker tries, live, what its domain must refuse and what it must let pass. RestrictPaths itself
// is base/landlock.h.
//
//   if (int error = ProbeCanary("/.krux-canary"); error < 0) ... // is there a domain at all?
//   if (int error = ProbeGranted("/home/u/work"); error < 0) ... // and does it let the grant pass?
//
// All functions are async-signal-safe and answer 0 or -errno.
#pragma once

#include <cstddef>

#include "base/landlock.h"

namespace krux::sandbox {

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
