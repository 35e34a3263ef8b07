// Resource limits of a worker: setrlimit(2). One table serves the child, which applies it, and
// krux-spawnd, which compares it with what prlimit(2) says about the child.
//
//   RlimitEntry table[kMaxRlimits];
//   size_t n = RlimitsFor(spec.limits, /*cgroup_degraded=*/false, table);
//   if (int error = ApplyRlimits(table, n); error < 0) ...       // child
#pragma once

#include <cstddef>
#include <cstdint>

#include "sandbox/spec.h"

namespace krux::sandbox {

inline constexpr size_t kMaxRlimits = 16;

struct RlimitEntry {
  int resource;      // RLIMIT_*
  uint64_t value;    // soft and hard
  const char* name;  // "nofile", as in receipts
};

// Fills `out` and returns the number of entries. Where the cgroup is degraded RLIMIT_AS stands in
// for memory.max (per process, not per call) and RLIMIT_NPROC for pids.max.
size_t RlimitsFor(const Limits& limits, bool cgroup_degraded, RlimitEntry out[kMaxRlimits]);

// 0 or -errno: EPERM when a hard limit of the caller is already lower. Child; async-signal-safe.
int ApplyRlimits(const RlimitEntry* table, size_t n);
int ApplyRlimits(const Limits& limits, bool cgroup_degraded);

}  // namespace krux::sandbox
