#include "tools/doctor_kernel.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/landlock.h"
#include "base/terminal.h"
#include "base/unique_fd.h"
#include "sandbox/cgroup.h"
#include "sandbox/spec.h"

namespace krux::tools {
namespace {

using sandbox::Layer;

std::string ReadLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

bool HasWord(const std::string& line, std::string_view word) {
  std::istringstream words(line);
  for (std::string item; words >> item;) {
    if (item == word) return true;
  }
  return false;
}

LayerCheck Make(Layer layer, bool present, std::string found, std::string fix) {
  return {sandbox::Name(layer),         true, true, present, std::move(found),
          present ? "" : std::move(fix)};
}

// A namespace type: the kernel has it, and this user may make one (namespaces(7),
// user_namespaces(7)).
LayerCheck CheckNamespace(Layer layer, const std::string& link, const std::string& limit) {
  if (access(("/proc/self/ns/" + link).c_str(), F_OK) != 0) {
    return Make(layer, false, "/proc/self/ns/" + link + " does not exist",
                "boot a kernel with this namespace type (Debian's kernels have it)");
  }
  const std::string sysctl = "user.max_" + limit + "_namespaces";
  const std::string allowed = ReadLine("/proc/sys/user/max_" + limit + "_namespaces");
  if (allowed == "0") return Make(layer, false, sysctl + " is 0", "sysctl -w " + sysctl + "=10000");
  if (layer == Layer::kUser && geteuid() != 0) {
    if (ReadLine("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
      return Make(layer, false, "kernel.unprivileged_userns_clone is 0",
                  "sysctl -w kernel.unprivileged_userns_clone=1, or run the gateway as root");
    }
    if (ReadLine("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1") {
      return Make(layer, false, "AppArmor keeps user namespaces from unprivileged programs",
                  "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor "
                  "profile for krux-spawnd");
    }
  }
  return Make(layer, true, sysctl + " = " + allowed, "");
}

LayerCheck CheckSeccomp() {
  const std::string actions = ReadLine("/proc/sys/kernel/seccomp/actions_avail");
  const bool present = HasWord(actions, "errno") && HasWord(actions, "kill_process");
  return Make(Layer::kSeccomp, present,
              actions.empty() ? "the kernel has no seccomp filters" : actions,
              "boot a kernel with CONFIG_SECCOMP_FILTER (Debian's kernels have it)");
}

LayerCheck CheckLandlock() {
  // landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION (1) answers the ABI.
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, 1U);
  if (abi < 0) {
    return Make(
        Layer::kLandlock, false, errno == EOPNOTSUPP ? "built in, switched off at boot" : "absent",
        "add lsm=landlock,… to the kernel command line (GRUB_CMDLINE_LINUX), update-grub, reboot");
  }
  std::string found = "ABI " + std::to_string(abi);
  if (abi < 4) found += "; no rules for TCP ports before ABI 4";
  if (abi < 5) found += "; none for device ioctls before ABI 5";
  if (abi < 6) found += "; none for signals and abstract sockets before ABI 6";
  return Make(Layer::kLandlock, abi >= kLandlockFloor, found,
              "boot Linux 6.1 or newer: ABI " + std::to_string(kLandlockFloor) + " is the floor");
}

LayerCheck CheckNftables() {
  const UniqueFd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!netlink.valid()) {
    return Make(Layer::kNftables, false, "no netfilter netlink", "modprobe nf_tables nfnetlink");
  }
  return Make(Layer::kNftables, true,
              "netfilter netlink answers; the table itself is tried in the sandbox", "");
}

// Of the cgroup v2 hierarchy: where it is mounted.
std::string UnifiedMount() {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const size_t dash = line.find(" - cgroup2 ");
    if (dash == std::string::npos) continue;
    std::istringstream fields(line);
    std::string id, parent, device, root, mount;
    fields >> id >> parent >> device >> root >> mount;
    return mount;
  }
  return {};
}

// Controllers that a v1 hierarchy holds: /proc/cgroups, second column not 0 (cgroups(7)).
bool HeldByV1(const std::string& controller) {
  std::ifstream table("/proc/cgroups");
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string name;
    int hierarchy = 0;
    if (fields >> name >> hierarchy && name == controller) return hierarchy != 0;
  }
  return false;
}

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

LayerCheck CheckCapabilities() {
  const int answer = prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0);
  return Make(Layer::kCaps, answer >= 0,
              answer >= 0 ? "bounding set can be read and dropped" : "no capability sets",
              "boot a kernel with capabilities");
}

LayerCheck CheckCloseRange() {
  // An empty range with first > last is EINVAL where the call exists (close_range(2), Linux 5.9).
  const bool present = syscall(SYS_close_range, 2U, 1U, 0U) == 0 || errno != ENOSYS;
  return Make(Layer::kFds, present, present ? "close_range(2)" : "no close_range(2)",
              "boot Linux 6.1 or newer");
}

LayerCheck CheckVersion() {
  utsname name = {};
  uname(&name);
  std::istringstream release(name.release);
  int major = 0;
  int minor = 0;
  char dot = 0;
  release >> major >> dot >> minor;
  const bool present = major > 6 || (major == 6 && minor >= 1);
  return {"kernel", false,        true,
          present,  name.release, present ? "" : "boot Linux 6.1 or newer (Debian 12 has 6.1)"};
}

LayerCheck CheckPeerPidfd() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return {"peer_pidfd", false, false, false, strerrordesc_np(errno), ""};
  }
  const UniqueFd one(pair[0]);
  const UniqueFd other(pair[1]);
  constexpr int kSoPeerPidfd = 77;  // asm-generic/socket.h, Linux 6.5
  int pidfd = -1;
  socklen_t size = sizeof pidfd;
  const bool present = getsockopt(one.get(), SOL_SOCKET, kSoPeerPidfd, &pidfd, &size) == 0;
  const UniqueFd close_it(present ? pidfd : -1);
  return {"peer_pidfd",
          false,
          false,
          present,
          present ? "SO_PEERPIDFD"
                  : "no SO_PEERPIDFD before Linux 6.5; clients are told apart by SO_PEERCRED alone",
          ""};
}

LayerCheck CheckSeparation() {
  const bool root = geteuid() == 0;
  return {"separate_uids",
          false,
          false,
          root,
          root ? "root: the daemons and the workers get users of their own"
               : "not root: the daemons share your uid; process, Landlock and seccomp alone "
                 "separate them",
          root ? "" : "run the gateway as root"};
}

}  // namespace

LayerCheck CheckCgroup() {
  const std::string mount = UnifiedMount();
  if (mount.empty()) {
    return Make(
        Layer::kCgroup, false, "no cgroup v2 hierarchy is mounted",
        "mount -t cgroup2 none /sys/fs/cgroup, or boot with systemd.unified_cgroup_hierarchy=1");
  }
  const std::string controllers = ReadLine(mount + "/cgroup.controllers");
  std::vector<std::string> missing;
  std::vector<std::string> held;
  for (const char* controller : sandbox::kControllers) {
    if (HasWord(controllers, controller)) continue;
    missing.emplace_back(controller);
    if (HeldByV1(controller)) held.emplace_back(controller);
  }
  if (!missing.empty()) {
    std::string found = "cgroup v2 at " + mount + " lacks " + Join(missing);
    if (!held.empty()) found += "; cgroup v1 holds " + Join(held);
    std::string fix =
        held.empty() ? "boot a kernel with these controllers, or let the container have them"
                     : "boot with `systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all` on the "
                       "kernel command line (GRUB_CMDLINE_LINUX, update-grub, reboot)";
    // Only root's gateway makes leaves: gateway/supervisor/delegated_cgroup.h.
    if (geteuid() != 0) fix += ", and run the gateway as root";
    return Make(Layer::kCgroup, false, found, fix);
  }
  if (geteuid() != 0)
    return Make(Layer::kCgroup, false, "only root's gateway makes cgroups",
                "run the gateway as root");
  if (access(mount.c_str(), W_OK) != 0) {
    return Make(Layer::kCgroup, false, mount + " is mounted read-only",
                "mount -o remount,rw " + mount);
  }
  std::string found = "cgroup v2 at " + mount + " with memory, pids, cpu";
  found += HasWord(controllers, sandbox::kIoController) ? ", io" : "; no io, so no io.max";
  return Make(Layer::kCgroup, true, found, "");
}

std::vector<LayerCheck> CheckLayers() {
  const bool no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) >= 0;
  return {
      CheckNamespace(Layer::kUser, "user", "user"),
      CheckNamespace(Layer::kMount, "mnt", "mnt"),
      CheckNamespace(Layer::kPid, "pid", "pid"),
      CheckNamespace(Layer::kNet, "net", "net"),
      CheckNamespace(Layer::kUts, "uts", "uts"),
      CheckNamespace(Layer::kIpc, "ipc", "ipc"),
      CheckNamespace(Layer::kCgroupNs, "cgroup", "cgroup"),
      CheckCgroup(),
      CheckSeccomp(),
      CheckLandlock(),
      CheckNftables(),
      CheckCapabilities(),
      Make(Layer::kNoNewPrivs, no_new_privs,
           no_new_privs ? "prctl(2) knows it" : "prctl(2) does not know it",
           "boot Linux 6.1 or newer"),
      CheckCloseRange(),
      Make(Layer::kRlimits, true, "prlimit(2)", ""),
      CheckVersion(),
      CheckPeerPidfd(),
      CheckSeparation(),
  };
}

}  // namespace krux::tools
