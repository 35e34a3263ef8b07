// How krux-spawnd gets from an ordinary unprivileged process to root of nothing: its own user
// namespace with a map of a few ids and never host 0, then its own pid, mount, network, ipc and uts
// namespaces, where it is pid 1, then an empty root.
//
//   start (uid krux-spawn or the caller)
//     unshare(user) → mountd writes the maps
//     clone3(pid, mount, net, ipc, uts) → exec itself: a process must have been exec'ed inside its
//       user namespace to inspect children that are not dumpable
//     proc of its own pid namespace, empty tmpfs root, the host's tree detached
#pragma once

#include "base/channel.h"
#include "sandbox/namespaces.h"
#include "sandbox/test_hooks.h"

namespace krux::sandbox {

struct SpawndFlags {
  int channel_fd = -1;   // to kruxd
  int mount_fd = -1;     // to krux-mountd
  int lifeline_fd = -1;  // end of file = the supervisor is gone
  int cgroup_fd = -1;    // delegated cgroup directory, -1 where none can be had
  bool inner = false;    // set by the first process for the second
  bool rootless = false;
  TestHooks hooks;  // test build only
};
SpawndFlags ParseSpawndFlags(int argc, char** argv);

// First process: makes the namespaces, runs the second, waits for it and returns its exit status.
// When the lifeline ends or this process dies, the second and with it every worker is killed.
int RunOuter(const SpawndFlags& flags, char** argv);

// Network namespaces that may exist at once below spawnd's user namespace, its own with them. The
// kernel takes them down later than their processes, one after another; more calls than that are
// refused (72) and never share one.
inline constexpr uint64_t kNetNamespaces = 256;

// Second process: what it stands on once it is inside.
struct InnerWorld {
  UniqueFd proc;      // own proc mount, subset=pid
  UniqueFd null;      // /dev/null, opened before the host's tree went away
  UniqueFd mount_ns;  // own mount namespace, to return to
  UniqueFd cgroup;    // the delegated directory in an own mount of it; invalid where there is none
  NamespaceIds outside;  // own namespaces: no worker may share one
  int filters = 0;       // seccomp filters inherited from outside
  UniqueFd host_root;    // test build only
};
Result<InnerWorld> EnterInner(const SpawndFlags& flags);

// Last before the first byte of anybody: no core, not dumpable, only the capabilities that are
// needed (all of the own user namespace), no descriptor but the ones that are used, and a seccomp
// filter, which every worker inherits below its own. Not no_new_privs: the receipt could not tell a
// worker's own any more. Counts the filter in `world.filters`.
Result<void> ConfineInner(const SpawndFlags& flags, InnerWorld& world);

}  // namespace krux::sandbox
