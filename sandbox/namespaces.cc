#include "sandbox/namespaces.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "sandbox/spec.h"

namespace krux::sandbox {

const std::array<NamespaceKind, kNamespaceKinds> kNamespaces = {{
    {CLONE_NEWUSER, "user", static_cast<unsigned>(Layer::kUser)},
    {CLONE_NEWNS, "mnt", static_cast<unsigned>(Layer::kMount)},
    {CLONE_NEWPID, "pid", static_cast<unsigned>(Layer::kPid)},
    {CLONE_NEWNET, "net", static_cast<unsigned>(Layer::kNet)},
    {CLONE_NEWUTS, "uts", static_cast<unsigned>(Layer::kUts)},
    {CLONE_NEWIPC, "ipc", static_cast<unsigned>(Layer::kIpc)},
    {CLONE_NEWCGROUP, "cgroup", static_cast<unsigned>(Layer::kCgroupNs)},
}};

uint64_t WorkerNamespaces() {
  uint64_t flags = 0;
  for (const NamespaceKind& kind : kNamespaces) flags |= kind.flag;
  return flags;
}

Result<Cloned> CloneProcess(uint64_t flags, int cgroup_fd) {
  if (cgroup_fd < 0) {
    // clone(2) and not clone3(2): a seccomp filter sees these flags. The third argument is where
    // the pidfd goes, on every architecture.
    int fd = -1;
    const long made = syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, nullptr, &fd, nullptr, 0);
    if (made < 0) return SysError(ExitCode::kSandbox, "clone", errno);
    if (made == 0) return Cloned{0, UniqueFd()};
    return Cloned{static_cast<pid_t>(made), UniqueFd(fd)};
  }
  clone_args args{};
  int pidfd = -1;
  args.flags = flags | CLONE_PIDFD | CLONE_INTO_CGROUP;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<uint64_t>(cgroup_fd);
  const long pid = syscall(SYS_clone3, &args, sizeof(args));
  if (pid < 0) return SysError(ExitCode::kSandbox, "clone3", errno);
  if (pid == 0) return Cloned{0, UniqueFd()};
  return Cloned{static_cast<pid_t>(pid), UniqueFd(pidfd)};
}

Result<void> WriteIdMaps(int proc_pid_fd, std::string_view uid_map, std::string_view gid_map) {
  // user_namespaces(7): setgroups must be denied before an unprivileged gid_map is written; it
  // stays denied where privileged as well, nobody inside needs it.
  KRUX_TRY(WriteFileAt(proc_pid_fd, "setgroups", "deny"));
  KRUX_TRY(WriteFileAt(proc_pid_fd, "gid_map", gid_map));
  return WriteFileAt(proc_pid_fd, "uid_map", uid_map);
}

Result<NamespaceIds> ReadNamespaceIds(int proc_pid_fd) {
  NamespaceIds ids{};
  for (size_t i = 0; i < kNamespaces.size(); ++i) {
    char path[32];
    std::strcpy(path, "ns/");
    std::strcat(path, kNamespaces[i].name);
    struct stat st{};
    if (fstatat(proc_pid_fd, path, &st, 0) != 0) return SysError(ExitCode::kSandbox, path, errno);
    ids[i] = st.st_ino;
  }
  return ids;
}

Result<UniqueFd> OpenProcPid(int proc_fd, pid_t pid) {
  const std::string name = std::to_string(pid);
  UniqueFd fd(openat(proc_fd, name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SysError(ExitCode::kSandbox, "open /proc/" + name, errno);
  return fd;
}

Result<std::string> ReadFileAt(int dirfd, const char* name, size_t max) {
  UniqueFd fd(openat(dirfd, name, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return SysError(ExitCode::kSandbox, std::string("open ") + name, errno);
  std::string text;
  char part[4096];
  for (;;) {
    const ssize_t got = read(fd.get(), part, sizeof(part));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SysError(ExitCode::kSandbox, std::string("read ") + name, errno);
    if (got == 0) return text;
    if (text.size() + static_cast<size_t>(got) > max)
      return Fail(ExitCode::kSandbox, name, "file is larger than expected");
    text.append(part, static_cast<size_t>(got));
  }
}

Result<void> WriteFileAt(int dirfd, const char* name, std::string_view text) {
  UniqueFd fd(openat(dirfd, name, O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return SysError(ExitCode::kSandbox, std::string("open ") + name, errno);
  if (write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return SysError(ExitCode::kSandbox, std::string("write ") + name, errno);
  }
  return {};
}

}  // namespace krux::sandbox
