// CompiledFilter: one seccomp filter, compiled from a *.rules file when krux is built, and how a
// process loads it into itself. Kernel: seccomp(2), Documentation/userspace-api/seccomp_filter.rst.
//
//   #include "audit/seccomp_filters.h"                       // generated: krux_seccomp_filters()
//   if (int error = LoadFilter(generated::kAuditdFilter); error < 0) …   // after no_new_privs
//   uint8_t digest[kFilterDigestBytes];
//   if (int error = ProbeFilterDigest(digest); error < 0) …  // which filter is really loaded
//
// Nothing reads a loaded filter back: PTRACE_SECCOMP_GET_FILTER is refused to a tracer that is
// under seccomp itself. So the filter answers for itself: the reserved system call number
// kProbeSyscall returns chunk arg0 of the filter's digest as an errno. Where filters are stacked
// the newest one answers: of equal actions the kernel takes the last filter's.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>

namespace krux {

inline constexpr size_t kFilterDigestBytes = 32;

// A number far above every table of system calls and below the x32 bit.
inline constexpr long kProbeSyscall = 0x00b2c0de;

struct CompiledFilter {
  const sock_filter* insns;
  unsigned short count;  // instructions in `insns`
  const uint8_t*
      digest;  // kFilterDigestBytes: SHA-256 of `insns` with the digest's own answers zeroed
  unsigned short tree_count;  // instructions of the number dispatch alone; a worker's: at most 120
};

// Loads `filter` into the calling thread. Needs no_new_privs, or CAP_SYS_ADMIN in the own user
// namespace. 0 or -errno. Async-signal-safe.
int LoadFilter(const CompiledFilter& filter);

// Asks the loaded filter for its digest. 0; -ENOSYS where no krux filter is loaded.
// Async-signal-safe.
int ProbeFilterDigest(uint8_t out[kFilterDigestBytes]);

// Both of the above: 0, -errno of the loading, or -EPROTO where another filter answers.
int LoadFilterAndProve(const CompiledFilter& filter);

}  // namespace krux
