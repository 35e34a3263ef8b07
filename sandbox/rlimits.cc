#include "sandbox/rlimits.h"

#include <errno.h>
#include <sys/resource.h>

namespace krux::sandbox {

size_t RlimitsFor(const Limits& limits, bool cgroup_degraded, RlimitEntry out[kMaxRlimits]) {
  size_t n = 0;
  const auto add = [&](int resource, uint64_t value, const char* name) {
    out[n++] = {resource, value, name};
  };
  add(RLIMIT_CPU, limits.cpu_seconds, "cpu");
  add(RLIMIT_FSIZE, limits.file_bytes, "fsize");
  add(RLIMIT_NOFILE, limits.open_files, "nofile");
  // No core: it would be written where the host's core_pattern says, with the call's memory in it.
  add(RLIMIT_CORE, 0, "core");
  // Locked memory, message queues and queued signals are charged to the user of all calls together.
  add(RLIMIT_MEMLOCK, 0, "memlock");
  add(RLIMIT_MSGQUEUE, 0, "msgqueue");
  add(RLIMIT_SIGPENDING, 256, "sigpending");
  add(RLIMIT_NICE, 0, "nice");
  add(RLIMIT_RTPRIO, 0, "rtprio");
  add(RLIMIT_STACK, 8ull << 20, "stack");
  if (cgroup_degraded) {
    add(RLIMIT_AS, limits.memory_bytes, "as");
    add(RLIMIT_NPROC, limits.pids, "nproc");
  }
  return n;
}

int ApplyRlimits(const RlimitEntry* table, size_t n) {
  for (size_t i = 0; i < n; i++) {
    // Soft and hard alike: nothing inside can raise a limit, and SIGXCPU comes with no grace that
    // pid 1 could ignore (at the hard limit the kernel sends SIGKILL, setrlimit(2)).
    const rlimit limit = {table[i].value, table[i].value};
    if (setrlimit(static_cast<__rlimit_resource>(table[i].resource), &limit) < 0) return -errno;
  }
  return 0;
}

int ApplyRlimits(const Limits& limits, bool cgroup_degraded) {
  RlimitEntry table[kMaxRlimits];
  return ApplyRlimits(table, RlimitsFor(limits, cgroup_degraded, table));
}

}  // namespace krux::sandbox
