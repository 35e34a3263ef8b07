// Seccomp filters of a worker: compiled when krux is built, loaded raw by the confined child.
// The rules are sandbox/seccomp/{fs,write,exec,watch}.rules; docs/PRIVSEP.md says what they are
// for.
//
//   const CompiledFilter& filter = FilterFor(WorkClass::kFs);
//   if (int error = LoadFilter(filter); error < 0) ...           // child, after no_new_privs
//   uint8_t digest[kFilterDigestBytes];
//   if (int error = ProbeFilterDigest(digest); error < 0) ...    // which filter is really loaded
#pragma once

#include "base/seccomp/filter.h"
#include "sandbox/spec.h"

namespace krux::sandbox {

// The filter of a work class; static data, safe to call after fork.
const CompiledFilter& FilterFor(WorkClass work_class);

// That of the watch over secrets (sandbox/watch.h).
const CompiledFilter& WatchFilter();

// 0 if socket(2) is refused with the filters' EPERM for AF_UNIX, AF_INET and AF_NETLINK, else
// -EPROTO (a socket was made, or something else refused it). Child; async-signal-safe.
int ProbeSocketRefused();

}  // namespace krux::sandbox
