// Namespaces: clone3(2), id maps, and the identity of namespaces. user_namespaces(7),
// namespaces(7).
//
//   CloneRequest request{.flags = kWorkerNamespaces, .cgroup_fd = leaf.get()};
//   Cloned child = KRUX_TRY(CloneProcess(request));
//   if (child.pid == 0) { … the child … _exit(…); }
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"

namespace krux::sandbox {

// The seven kinds of a worker, in the order of KRUX_LAYERS, with their names below /proc/<pid>/ns.
struct NamespaceKind {
  uint64_t flag;     // CLONE_NEW*
  const char* name;  // "user", "mnt", "pid", "net", "uts", "ipc", "cgroup"
  unsigned layer;    // sandbox::Layer
};
inline constexpr size_t kNamespaceKinds = 7;
extern const std::array<NamespaceKind, kNamespaceKinds> kNamespaces;
// All seven CLONE_NEW* flags.
uint64_t WorkerNamespaces();

struct Cloned {
  pid_t pid = -1;  // 0 in the child
  UniqueFd pidfd;  // in the parent
};

// fork(2) with `flags`; `cgroup_fd` ≥ 0 puts the child straight into that cgroup
// (CLONE_INTO_CGROUP: never by writing cgroup.procs, which costs milliseconds and races).
Result<Cloned> CloneProcess(uint64_t flags, int cgroup_fd);

// Writes setgroups "deny", gid_map and uid_map of the process directory `proc_pid_fd`, each one
// write as the kernel demands. A map is lines of "<inside> <outside> <count>".
Result<void> WriteIdMaps(int proc_pid_fd, std::string_view uid_map, std::string_view gid_map);

// Inode numbers of the namespaces of one process, in the order of kNamespaces; 0 where unreadable.
using NamespaceIds = std::array<uint64_t, kNamespaceKinds>;
Result<NamespaceIds> ReadNamespaceIds(int proc_pid_fd);

// Opens /proc/<pid> below the proc mount `proc_fd`.
Result<UniqueFd> OpenProcPid(int proc_fd, pid_t pid);
// Reads a small file (≤ `max` bytes) below `dirfd`.
Result<std::string> ReadFileAt(int dirfd, const char* name, size_t max = 64 * 1024);
// One write(2) of `text` to a file below `dirfd`.
Result<void> WriteFileAt(int dirfd, const char* name, std::string_view text);

}  // namespace krux::sandbox
