// Measure: what really holds around one confined child, read back from the kernel or probed, and
// compared with what the Spec demands. Any difference ends the call before it runs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sandbox/cgroup.h"
#include "sandbox/child.h"
#include "sandbox/namespaces.h"
#include "sandbox/receipt.h"

namespace krux::sandbox {

struct Expected {
  uint32_t seen_uid = kInsideId;    // the worker's uid in spawnd's eyes: 1100; rootless 0
  std::string id_map;               // "1100 1100 1"; rootless "1100 0 1"
  std::vector<uint32_t> groups;     // rootless: the caller's supplementary groups, which stay
  NamespaceIds outside{};           // spawnd's own
  uint64_t template_mount_ns = 0;   // the worker has a copy of it, never itself
  std::vector<std::string> mounts;  // NormaliseMountinfo
  uint64_t masks = 0;               // how many of them hide a secret
  std::string work_path;
  std::vector<RlimitEntry> rlimits;
  int seccomp_filters = 1;
  const CompiledFilter* filter = nullptr;
  int landlock_abi = 0;
  std::string cgroup_name;  // leaf's own name; empty: no leaf can be made
  cbor::Map cgroup_limits;  // expected
  std::string idmap;
  int fds = kWorkerFds;  // open descriptors: 0 to fds - 1
};

struct Mismatch {
  std::string layer;    // name of sandbox::Layer
  std::string message;  // "seccomp: expected mode 2, measured 0"
  // Nothing differs but that masks are gone: whoever owns what they hid removed or replaced it.
  bool stale_masks = false;
};

struct Measured {
  Receipt receipt;
  std::optional<Mismatch> mismatch;  // the first difference
};

// `proc_pid_fd`: /proc/<pid> of the child; `netlink_fd`: opened in its network namespace; `leaf`
// may be invalid. Costs about 0.2 ms.
Measured Measure(const Expected& expected, pid_t pid, int proc_pid_fd, int netlink_fd,
                 const CgroupLeaf& leaf, const ChildMessage& probes);

}  // namespace krux::sandbox
