// Seccomp filters of a worker: compiled when krux is built, loaded raw by the confined child.
// The rules are sandbox/seccomp/{fs,write,exec}.rules; docs/PRIVSEP.md says what they are for.
//
//   const CompiledFilter& filter = FilterFor(WorkClass::kFs);
//   if (int error = LoadFilter(filter); error < 0) ...           // child, after no_new_privs
//   uint8_t digest[kFilterDigestBytes];
//   if (int error = ProbeFilterDigest(digest); error < 0) ...    // which filter is really loaded
//
// Nothing reads a loaded filter back: PTRACE_SECCOMP_GET_FILTER is refused to a tracer that is
// under seccomp itself. So the filter answers for itself: the reserved system call number
// kProbeSyscall returns chunk arg0 of the filter's digest as an errno.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>

#include "sandbox/spec.h"

namespace krux::sandbox {

inline constexpr size_t kFilterDigestBytes = 32;

// A number far above every table of system calls and below the x32 bit.
inline constexpr long kProbeSyscall = 0x00b2c0de;

struct CompiledFilter {
  const sock_filter* insns;
  unsigned short count;  // instructions in `insns`
  const uint8_t*
      digest;  // kFilterDigestBytes: SHA-256 of `insns` with the digest's own answers zeroed
  unsigned short tree_count;  // instructions of the number dispatch alone, at most 120
};

// The filter of a work class; static data, safe to call after fork.
const CompiledFilter& FilterFor(WorkClass work_class);

// Loads `filter` into the calling thread. Needs no_new_privs. 0 or -errno. Child;
// async-signal-safe.
int LoadFilter(const CompiledFilter& filter);

// Asks the loaded filter for its digest. 0; -ENOSYS where no krux filter is loaded.
// Child; async-signal-safe.
int ProbeFilterDigest(uint8_t out[kFilterDigestBytes]);

// 0 if socket(2) is refused with the filters' EPERM for AF_UNIX, AF_INET and AF_NETLINK, else
// -EPROTO (a socket was made, or something else refused it). Child; async-signal-safe.
int ProbeSocketRefused();

}  // namespace krux::sandbox
