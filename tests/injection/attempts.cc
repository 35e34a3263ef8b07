#include "tests/injection/attempts.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace krux::injection {
namespace {

using Argument = const std::string&;

int Error(long result) { return result < 0 ? errno : 0; }
int ErrorOfFd(long fd) {
  if (fd < 0) return errno;
  close(static_cast<int>(fd));
  return 0;
}
pid_t Pid(Argument text) { return static_cast<pid_t>(std::atoi(text.c_str())); }

// --- files
int OpenToRead(Argument path) { return ErrorOfFd(open(path.c_str(), O_RDONLY | O_CLOEXEC)); }
int OpenToWrite(Argument path) { return ErrorOfFd(open(path.c_str(), O_WRONLY | O_CLOEXEC)); }
int Create(Argument path) {
  const int error = ErrorOfFd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (error == 0) unlinkat(AT_FDCWD, path.c_str(), 0);
  return error;
}
int OpenByHandle(Argument path) {
  alignas(file_handle) char space[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  auto* handle = reinterpret_cast<file_handle*>(space);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount_id = 0;
  if (name_to_handle_at(AT_FDCWD, path.c_str(), handle, &mount_id, 0) != 0) return errno;
  return ErrorOfFd(open_by_handle_at(AT_FDCWD, handle, O_RDONLY | O_CLOEXEC));
}
// Through every descriptor that this process holds: `..` upwards, then down to the file. Sockets
// and memfds have no parent; a directory of the host would have one.
int WalkDescriptors(Argument path) {
  int error = ENOENT;
  for (int fd = 0; fd < 1024; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) continue;
    std::string way;
    for (int depth = 0; depth < 24; ++depth) {
      const int found = openat(fd, (way + path.substr(1)).c_str(), O_RDONLY | O_CLOEXEC);
      if (found >= 0) {
        close(found);
        return 0;
      }
      if (errno == EACCES) error = EACCES;  // it is there: that alone is a finding
      way += "../";
    }
  }
  return error;
}
// The same names through proc's magic links, which do not walk a path.
int WalkProcLinks(Argument path) {
  for (const char* link : {"root", "cwd", "exe/..", "task/1/root", "../1/root", "../2/root"}) {
    const std::string way = std::string("/proc/self/") + link + path;
    if (const int fd = open(way.c_str(), O_RDONLY | O_CLOEXEC); fd >= 0) {
      close(fd);
      return 0;
    }
  }
  return ENOENT;
}
int ListNames(Argument path) {
  DIR* dir = opendir(path.c_str());
  if (dir == nullptr) return errno;
  closedir(dir);
  return 0;
}

// --- mounts
int MountBind(Argument path) {
  if (mount(path.c_str(), "/mnt", nullptr, MS_BIND, nullptr) != 0 &&
      mount(path.c_str(), "/", nullptr, MS_BIND, nullptr) != 0)
    return errno;
  umount2("/mnt", MNT_DETACH);
  return 0;
}
int MountBlockDevice(Argument) {
  // A node of one's own, because there is no /dev: 7:0 is the first loop device.
  const char* node = "/tmp/krux-injected-node";
  if (mknod(node, S_IFBLK | 0600, 7 << 8) != 0) {
    if (errno != ENOENT) return errno;
    node = "/krux-injected-node";
    if (mknod(node, S_IFBLK | 0600, 7 << 8) != 0) return errno;
  }
  const int fd = open(node, O_RDONLY | O_CLOEXEC);
  const int error = fd < 0 && errno != ENXIO ? errno : 0;  // ENXIO: allowed, no such device
  if (fd >= 0) close(fd);
  unlink(node);
  return error;
}
int MountTmpfs(Argument) {
  if (mount("x", "/tmp", "tmpfs", 0, nullptr) != 0) return errno;
  umount2("/tmp", MNT_DETACH);
  return 0;
}
int FsOpen(Argument type) {
  return ErrorOfFd(syscall(SYS_fsopen, type.empty() ? "tmpfs" : type.c_str(), 0));
}
int OpenTree(Argument path) {
  return ErrorOfFd(open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
}
int MoveMount(Argument) { return Error(move_mount(-1, "", AT_FDCWD, "/mnt", 0)); }
int Unmount(Argument path) { return Error(umount2(path.c_str(), MNT_DETACH)); }
// A whole proc of its own shows sys/; the files there belong to the host's root.
int MountProcAndWrite(Argument name) {
  if (mount("proc", "/t", "proc", 0, nullptr) != 0) return errno;
  const int error = ErrorOfFd(open(("/t/" + name).c_str(), O_WRONLY | O_CLOEXEC));
  umount2("/t", MNT_DETACH);
  return error;
}
int MountSysfs(Argument) {
  if (mount("sysfs", "/t", "sysfs", 0, nullptr) != 0) return errno;
  umount2("/t", MNT_DETACH);
  return 0;
}
int ChangeRoot(Argument) { return Error(chroot("/")); }
// A namespace of the host; as root the own mount namespace, which changes nothing but can be
// refused.
int SetNamespace(Argument path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = Error(setns(fd, 0));
  close(fd);
  return error;
}
int Unshare(Argument) { return Error(unshare(CLONE_NEWUSER)); }

// --- processes
int Execute(Argument path) {
  char* const argv[] = {const_cast<char*>("true"), nullptr};
  char* const environment[] = {nullptr};
  const pid_t pid = vfork();
  if (pid == 0) {
    execve(path.c_str(), argv, environment);
    _exit(errno);
  }
  if (pid < 0) {  // no child: then in place, which comes back only when it is refused
    execve(path.c_str(), argv, environment);
    return errno;
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : ECANCELED;
}
int ExecuteInPlace(Argument path) {
  char* const argv[] = {const_cast<char*>("true"), nullptr};
  char* const environment[] = {nullptr};
  execve(path.c_str(), argv, environment);
  return errno;
}
int Fork(Argument) {
  const long pid = syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (pid == 0) _exit(0);
  if (pid < 0) return errno;
  waitpid(static_cast<pid_t>(pid), nullptr, 0);
  return 0;
}
int NewUserNamespaceByClone(Argument) {
  const long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (pid == 0) _exit(0);
  if (pid < 0) return errno;
  waitpid(static_cast<pid_t>(pid), nullptr, 0);
  return 0;
}
int NewMountNamespaceByClone(Argument) {
  const long pid = syscall(SYS_clone, CLONE_NEWNS | SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (pid == 0) _exit(0);
  if (pid < 0) return errno;
  waitpid(static_cast<pid_t>(pid), nullptr, 0);
  return 0;
}
// Signal 0 asks for the permission alone.
int Kill(Argument pid) { return Error(kill(Pid(pid), 0)); }
int PidfdOpen(Argument pid) { return ErrorOfFd(syscall(SYS_pidfd_open, Pid(pid), 0)); }
int KillThroughFds(Argument) {  // any pidfd that this process holds
  for (int fd = 0; fd < 1024; ++fd) {
    if (syscall(SYS_pidfd_send_signal, fd, 0, nullptr, 0) == 0) return 0;
  }
  return EBADF;
}
int Trace(Argument pid) {
  if (ptrace(PTRACE_SEIZE, Pid(pid), nullptr, nullptr) != 0) return errno;
  ptrace(PTRACE_DETACH, Pid(pid), nullptr, nullptr);
  return 0;
}
int TraceMe(Argument) { return Error(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }
int ReadMemory(Argument pid) {
  char byte = 0;
  iovec mine{&byte, 1}, theirs{nullptr, 1};
  // EFAULT is the answer of somebody who may.
  const long got = process_vm_readv(Pid(pid), &mine, 1, &theirs, 1, 0);
  return got < 0 && errno != EFAULT ? errno : 0;
}
int BecomeRoot(Argument) { return Error(syscall(SYS_setresuid, 0, 0, 0)); }

// --- sockets
int SocketOf(int domain, int type, int protocol) {
  return ErrorOfFd(socket(domain, type | SOCK_CLOEXEC, protocol));
}
int SocketInet(Argument) { return SocketOf(AF_INET, SOCK_STREAM, 0); }
int SocketUnix(Argument) { return SocketOf(AF_UNIX, SOCK_STREAM, 0); }
int SocketPacket(Argument) { return SocketOf(AF_PACKET, SOCK_RAW, 0); }
int ConnectUnix(Argument path, bool abstract) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + (abstract ? 1 : 0), path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + path.size());
  const int error = Error(connect(fd, reinterpret_cast<sockaddr*>(&address), size));
  close(fd);
  return error;
}
int ConnectAbstract(Argument name) { return ConnectUnix(name, true); }
int ConnectPath(Argument path) { return ConnectUnix(path, false); }
int ConnectTcp(Argument port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(port.c_str())));
  const int error = Error(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)));
  close(fd);
  return error;
}

// --- the kernel. Arguments that a privileged caller is refused for as well, but with another
// error: nothing here may ever take effect.
int KeyControl(Argument) {
  return Error(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
}
int AddKey(Argument) {
  return Error(syscall(SYS_add_key, "user", "krux-injected", "x", 1, KEY_SPEC_PROCESS_KEYRING));
}
int Bpf(Argument) { return Error(syscall(SYS_bpf, 0x7fff, nullptr, 0)); }
int Perf(Argument) {
  perf_event_attr attr{};
  attr.type = PERF_TYPE_SOFTWARE;
  attr.size = sizeof(attr);
  attr.exclude_kernel = 1;
  return ErrorOfFd(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}
int IoUring(Argument) {
  char params[120] = {};
  return ErrorOfFd(syscall(SYS_io_uring_setup, 1, params));
}
int UserFaultFd(Argument) { return ErrorOfFd(syscall(SYS_userfaultfd, O_CLOEXEC | 1)); }
int LoadModule(Argument) { return Error(syscall(SYS_init_module, nullptr, 0, "")); }
int Reboot(Argument) { return Error(syscall(SYS_reboot, 0, 0, 0, nullptr)); }
int AdjustTime(Argument) {
  timex impossible{};
  impossible.modes = ADJ_TICK;
  impossible.tick = 1;
  return Error(syscall(SYS_adjtimex, &impossible));
}
int KexecLoad(Argument) { return Error(syscall(SYS_kexec_load, 0, 1, nullptr, ~0ul)); }
int MapExecutable(Argument) {
  void* map =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return errno;
  munmap(map, 4096);
  return 0;
}

struct Entry {
  const char* name;
  int (*run)(Argument);
};
constexpr Entry kAttempts[] = {
    {"open_read", OpenToRead},
    {"open_write", OpenToWrite},
    {"create", Create},
    {"open_by_handle", OpenByHandle},
    {"walk_fds", WalkDescriptors},
    {"walk_proc_links", WalkProcLinks},
    {"list", ListNames},
    {"mount_bind", MountBind},
    {"mount_block_device", MountBlockDevice},
    {"mount_tmpfs", MountTmpfs},
    {"mount_sysfs", MountSysfs},
    {"mount_proc_and_write", MountProcAndWrite},
    {"fsopen", FsOpen},
    {"open_tree", OpenTree},
    {"move_mount", MoveMount},
    {"umount", Unmount},
    {"chroot", ChangeRoot},
    {"setns", SetNamespace},
    {"unshare_user", Unshare},
    {"exec", Execute},
    {"exec_in_place", ExecuteInPlace},
    {"fork", Fork},
    {"clone_newuser", NewUserNamespaceByClone},
    {"clone_newns", NewMountNamespaceByClone},
    {"kill", Kill},
    {"pidfd_open", PidfdOpen},
    {"kill_through_fds", KillThroughFds},
    {"ptrace", Trace},
    {"ptrace_me", TraceMe},
    {"process_vm_readv", ReadMemory},
    {"setresuid_0", BecomeRoot},
    {"socket_inet", SocketInet},
    {"socket_unix", SocketUnix},
    {"socket_packet", SocketPacket},
    {"connect_abstract", ConnectAbstract},
    {"connect_path", ConnectPath},
    {"connect_tcp", ConnectTcp},
    {"keyctl", KeyControl},
    {"add_key", AddKey},
    {"bpf", Bpf},
    {"perf_event_open", Perf},
    {"io_uring", IoUring},
    {"userfaultfd", UserFaultFd},
    {"init_module", LoadModule},
    {"kexec_load", KexecLoad},
    {"reboot", Reboot},
    {"adjtimex", AdjustTime},
    {"mmap_exec", MapExecutable},
};

}  // namespace

int Attempt(const std::string& what) {
  const size_t colon = what.find(':');
  const std::string name = what.substr(0, colon);
  const std::string argument = colon == std::string::npos ? "" : what.substr(colon + 1);
  for (const Entry& entry : kAttempts) {
    if (name == entry.name) return entry.run(argument);
  }
  return -1;
}

}  // namespace krux::injection
