#include "tests/escape/cases.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>

namespace krux::sandbox {
namespace {

std::string Secret(const Scene& scene) { return scene.outside().path() + "/secret"; }

void GiveSecret(Scene& scene) { scene.Arg(Secret(scene)); }

void GiveRootsSecret(Scene& scene) {
  GiveSecret(scene);
  EXPECT_EQ(chown(Secret(scene).c_str(), 0, 0), 0);
  EXPECT_EQ(chmod(Secret(scene).c_str(), 0600), 0);
}

void GiveLinks(Scene& scene, const std::string& target) {
  EXPECT_EQ(symlink(target.c_str(), (scene.work().path() + "/made-by-host").c_str()), 0);
  scene.Arg("made-by-host");
  GiveSecret(scene);
}
void GiveRelativeLink(Scene& scene) {
  GiveLinks(scene, "../" + Secret(scene).substr(sizeof("/var/tmp")));
}
void GiveAbsoluteLink(Scene& scene) { GiveLinks(scene, Secret(scene)); }

// What may stand in the root of a sandbox whose WORK lies below /var/tmp.
void GiveRootNames(Scene& scene) {
  for (const char* name : {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "dev",
                           "tmp", "proc", "var"}) {
    scene.Arg(name);
  }
}

// Nobody knocked: neither a connection nor a datagram waits at `fd`.
void StaysSilent(Scene& scene, int fd, const char* what) {
  scene.After([fd, what] {
    char byte;
    EXPECT_LT(accept4(fd, nullptr, nullptr, SOCK_NONBLOCK), 0) << what << " was connected to";
    EXPECT_LT(recv(fd, &byte, 1, MSG_DONTWAIT), 0) << what << " received something";
  });
}

int Bound(Scene& scene, int type, const sockaddr* name, socklen_t size) {
  UniqueFd fd(socket(name->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  EXPECT_EQ(bind(fd.get(), name, size), 0) << strerror(errno);
  if (type != SOCK_DGRAM) {
    EXPECT_EQ(listen(fd.get(), 8), 0);
  }
  const int number = scene.Keep(std::move(fd));
  StaysSilent(scene, number, "the listener");
  return number;
}

std::string SocketInWork(Scene& scene, const char* name, int type) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = scene.work().path() + "/" + name;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Bound(scene, type, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  EXPECT_EQ(chmod(path.c_str(), 0777), 0);
  return path;
}

void GiveSocketsInGrant(Scene& scene) {
  scene.writable = false;
  scene.Arg(SocketInWork(scene, "stream", SOCK_STREAM));
  scene.Arg(SocketInWork(scene, "datagram", SOCK_DGRAM));
}

void GiveAbstractSocket(Scene& scene) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "krux-escape" + scene.work().path();
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  Bound(scene, SOCK_STREAM, reinterpret_cast<const sockaddr*>(&address),
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size()));
  scene.Arg(name);
}

void GivePort(Scene& scene, int type) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = Bound(scene, type, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  socklen_t size = sizeof address;
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  scene.Arg(std::to_string(ntohs(address.sin_port)));
}
void GiveTcpPort(Scene& scene) { GivePort(scene, SOCK_STREAM); }
void GiveUdpPort(Scene& scene) { GivePort(scene, SOCK_DGRAM); }

// A process of the host under the id that the program has outside: only its being unseen protects
// it.
void GiveProcess(Scene& scene) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (setresgid(scene.outer(), scene.outer(), scene.outer()) != 0 ||
        setresuid(scene.outer(), scene.outer(), scene.outer()) != 0) {
      _exit(1);
    }
    for (;;) pause();
  }
  // Only once the id is changed is it a bait.
  struct stat st{};
  for (int i = 0;
       i < 1000 && (stat(("/proc/" + std::to_string(pid)).c_str(), &st) != 0 || st.st_uid == 0);
       ++i)
    usleep(1000);
  scene.Arg(std::to_string(pid));
  scene.After([pid] {
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, WNOHANG), 0) << "the host's process ended, status " << status;
  });
  scene.AtEnd([pid] {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  });
}

void GiveSharedMemory(Scene& scene) {
  key_t key = 0;
  int id = -1;
  for (int i = 0; i < 100 && id < 0; ++i) {
    key = 0x6b720000 + (getpid() & 0xff) * 0x100 + i;
    id = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0666);
  }
  EXPECT_GE(id, 0);
  scene.Arg(std::to_string(key));
  scene.AtEnd([id] { shmctl(id, IPC_RMID, nullptr); });
}

// Copies of the program itself that gain by being executed: one setuid root, one with capabilities,
// one whose capabilities count where krux-spawnd's user is root: in its user namespace and below.
void GivePrivilegedPrograms(Scene& scene) {
  scene.writable = false;
  const std::string setuid = scene.program_path() + "-setuid",
                    capable = scene.program_path() + "-capable",
                    namespaced = scene.program_path() + "-namespaced";
  for (const std::string& copy : {setuid, capable, namespaced})
    std::filesystem::copy_file(scene.program_path(), copy);
  EXPECT_EQ(chown(setuid.c_str(), 0, 0), 0);
  EXPECT_EQ(chmod(setuid.c_str(), 06755), 0);
  vfs_cap_data caps{};
  caps.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  caps.data[0].permitted = ~0u;
  caps.data[1].permitted = 0xff;
  EXPECT_EQ(chmod(capable.c_str(), 0755), 0);
  EXPECT_EQ(setxattr(capable.c_str(), "security.capability", &caps, sizeof caps, 0), 0)
      << strerror(errno);
  vfs_ns_cap_data in_namespace{};
  in_namespace.magic_etc = VFS_CAP_REVISION_3 | VFS_CAP_FLAGS_EFFECTIVE;
  std::memcpy(in_namespace.data, caps.data, sizeof caps.data);
  in_namespace.rootid =
      scene.caller() == SpawndHarness::kRootlessId ? scene.caller() : SpawndHarness::kSpawnId;
  EXPECT_EQ(chmod(namespaced.c_str(), 0755), 0);
  EXPECT_EQ(
      setxattr(namespaced.c_str(), "security.capability", &in_namespace, sizeof in_namespace, 0), 0)
      << strerror(errno);
  for (const std::string& copy : {setuid, capable, namespaced}) scene.Arg(copy);
}

void GiveHandle(Scene& scene) {
  alignas(file_handle) unsigned char room[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  auto* handle = reinterpret_cast<file_handle*>(room);
  int mount = 0;
  handle->handle_bytes = MAX_HANDLE_SZ;
  EXPECT_EQ(name_to_handle_at(AT_FDCWD, Secret(scene).c_str(), handle, &mount, 0), 0)
      << strerror(errno);
  std::string hex;
  for (unsigned i = 0; i < handle->handle_bytes; ++i) {
    char byte[3];
    std::snprintf(byte, sizeof byte, "%02x", room[sizeof(file_handle) + i]);
    hex += byte;
  }
  scene.Arg(hex);
  scene.Arg(std::to_string(handle->handle_type));
}

void GiveReadOnlyFile(Scene& scene) {
  scene.writable = false;
  scene.work().Write("granted", "for reading\n", 0666);
  scene.Arg(scene.work().path() + "/granted");
  scene.After([path = scene.work().path()] {
    EXPECT_EQ(std::filesystem::file_size(path + "/granted"), 12u);
    EXPECT_FALSE(std::filesystem::exists(path + "/new"));
  });
}

// The reading end is open here: a writer would get in, and what it writes would be seen.
void GivePipe(Scene& scene) {
  scene.writable = false;
  const std::string path = scene.work().path() + "/pipe";
  EXPECT_EQ(mkfifo(path.c_str(), 0666), 0);
  EXPECT_EQ(chmod(path.c_str(), 0666), 0);
  const int fd = scene.Keep(UniqueFd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)));
  EXPECT_GE(fd, 0);
  scene.Arg(path);
  scene.After([fd] {
    char byte;
    EXPECT_EQ(read(fd, &byte, 1), 0) << "somebody has the pipe open for writing";
  });
}

void GiveDeviceNode(Scene& scene) {
  const std::string path = scene.work().path() + "/device";
  EXPECT_EQ(mknod(path.c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  EXPECT_EQ(chmod(path.c_str(), 0666), 0);
  scene.Arg(path);
}

// WORK belongs to a stranger, who lets everybody look into it and keeps two files to himself.
void GiveForeignFiles(Scene& scene) {
  scene.writable = false;
  constexpr uid_t kStranger = 64198;
  const std::string stranger = scene.work().path() + "/strangers",
                    spawnds = scene.work().path() + "/spawnds";
  for (const std::string& file : {stranger, spawnds}) {
    scene.work().Write(std::filesystem::path(file).filename(), "not for the caller\n", 0600);
    const uid_t owner = file == stranger ? kStranger : SpawndHarness::kSpawnId;
    EXPECT_EQ(chown(file.c_str(), owner, owner), 0);
    scene.Arg(file);
  }
  EXPECT_EQ(chown(scene.work().path().c_str(), kStranger, kStranger), 0);
}

// A directory of WORK that somebody on the host moves out and in again, as fast as he can.
void GiveMovingDirectory(Scene& scene) {
  const std::string inside = scene.work().path() + "/moving",
                    outside = scene.outside().path() + "/moving",
                    started = scene.work().path() + "/started";
  EXPECT_EQ(mkdir(inside.c_str(), 0755), 0);
  scene.Arg("moving");
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (access(started.c_str(), F_OK) != 0) usleep(1000);
    for (;;) {
      (void)rename(inside.c_str(), outside.c_str());
      (void)rename(outside.c_str(), inside.c_str());
    }
  }
  scene.After([pid, inside, outside] {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    (void)rename(outside.c_str(), inside.c_str());
  });
  scene.AtEnd([pid] {
    if (kill(pid, SIGKILL) == 0) waitpid(pid, nullptr, 0);
  });
}

void GiveHostName(Scene& scene) {
  char name[256] = {};
  EXPECT_EQ(gethostname(name, sizeof name - 1), 0);
  scene.Arg(name);
}

void GiveLittleMemory(Scene& scene) { scene.limits.memory_bytes = 256ull << 20; }

const std::vector<EscapeCase> kCases = {
    // files and names
    {"read_secret", "open: ENOENT", Control::kRoot, GiveRootsSecret},
    {"read_outside", "open: ENOENT", Control::kCaller, GiveSecret},
    {"list_names", "only granted names exist", Control::kCaller, GiveRootNames},
    {"symlink_out", "open: ENOENT", Control::kCaller, GiveRelativeLink},
    {"symlink_absolute", "open: ENOENT", Control::kCaller, GiveAbsoluteLink},
    {"dotdot", "open: ENOENT", Control::kCaller, GiveSecret},
    {"file_handles", "open_by_handle_at: EPERM", Control::kRoot, GiveHandle},
    {"link_host_file", "link: ENOENT, then E", Control::kCaller, GiveSecret},
    {"hard_links", "open: ENOENT", Control::kCaller, GiveSecret},
    {"proc_links", "open: ENOENT", Control::kCaller, GiveSecret},
    {"moved_directory", "openat: E", Control::kCaller, GiveMovingDirectory},
    {"rename_out", "rename: ENOENT", Control::kCaller, GiveSecret},
    {"write_readonly", "open: E", Control::kCaller, GiveReadOnlyFile},
    {"write_fifo_in_grant", "open: EACCES", Control::kCaller, GivePipe},
    {"use_device_in_grant", "open: EACCES", Control::kCaller, GiveDeviceNode},
    {"make_fifo", "mkfifo: EACCES", Control::kCaller, nullptr},
    {"make_socket", "bind: EPERM", Control::kCaller, nullptr},
    {"make_device", "mknod: E", Control::kRoot, nullptr},
    {"rename_whiteout", "renameat2: EPERM", Control::kCaller, nullptr},
    {"file_capabilities", "setxattr: EPERM", Control::kRoot, nullptr},
    {"file_flags", "ioctl: E", Control::kRoot, nullptr},
    {"file_watch", "fanotify_init: EPERM", Control::kCaller, nullptr},
    {"open_devices", "open: ENOENT", Control::kRoot, nullptr},
    {"write_kernel_files", "open: ENOENT", Control::kRoot, nullptr},
    {"read_foreign", "open: EACCES", Control::kRoot, GiveForeignFiles},
    {"fill_disk", "write: ENOSPC", Control::kNone, nullptr},
    // setuid and setgid files on the host
    {"chmod_setuid", "chmod: EPERM", Control::kCaller, nullptr},
    {"fchmod_setuid", "fchmod: EPERM", Control::kCaller, nullptr},
    {"fchmodat_setuid", "fchmodat: EPERM", Control::kCaller, nullptr},
    {"fchmodat2_setuid", "fchmodat2: EPERM", Control::kCaller, nullptr},
    {"open_setuid", "openat: EPERM", Control::kCaller, nullptr},
    {"creat_setuid", "creat: EPERM", Control::kCaller, nullptr},
    {"mkdir_setgid", "mkdir: EPERM", Control::kNone, nullptr},
    {"mknod_setuid", "mknod: EPERM", Control::kCaller, nullptr},
    {"openat2_setuid", "openat2: ENOSYS", Control::kCaller, nullptr},
    {"exec_setuid_memfd", "fchmod: EPERM", Control::kCaller, nullptr},
    {"setuid_by_32bit", "killed by signal 31, twelve times", Control::kCaller, nullptr},
    {"setuid_by_x32", "killed by signal 31, nine times", Control::kCaller, nullptr},
    {"fchmod_inherited", "fchmod: EPERM", Control::kCaller, nullptr},
    {"memfd_program", "what runs from memory is confined too", Control::kCaller, nullptr},
    {"gain_by_exec", "no id and no capability was gained", Control::kCaller,
     GivePrivilegedPrograms},
    // sockets
    {"unix_socket_in_grant", "socket: EPERM", Control::kCaller, GiveSocketsInGrant},
    {"rights_smuggling", "socket: EPERM", Control::kCaller, GiveSocketsInGrant},
    {"abstract_socket", "socket: EPERM", Control::kCaller, GiveAbstractSocket},
    {"tcp_loopback", "socket: EPERM", Control::kCaller, GiveTcpPort},
    {"udp_send", "socket: EPERM", Control::kCaller, GiveUdpPort},
    {"loopback_talk", "socket: EPERM", Control::kCaller, nullptr},
    {"raw_sockets", "socket: EPERM", Control::kCaller, nullptr},
    // namespaces and mounts
    {"new_user_namespace", "unshare: EPERM", Control::kCaller, nullptr},
    {"join_namespaces", "setns: EPERM", Control::kRoot, nullptr},
    {"mount_family", "mount: EPERM", Control::kRoot, nullptr},
    {"mount_listing", "listmount: ENOSYS", Control::kRoot, nullptr},
    {"namespace_parents", "ioctl: EPERM", Control::kNone, nullptr},
    // other processes
    {"trace_init", "ptrace: EPERM", Control::kRoot, nullptr},
    {"kill_everyone", "pid 1 lives", Control::kNone, nullptr},
    {"signal_host_process", "kill: ESRCH", Control::kOnHost, GiveProcess},
    {"signal_neighbour", "kill: ESRCH", Control::kNone, nullptr},
    {"signal_by_descriptor", "fcntl: ESRCH", Control::kOnHost, GiveProcess},
    {"proc_of_init", "open: ENOENT", Control::kRoot, nullptr},
    {"other_processes", "only the stub and this program are here", Control::kOnHost, nullptr},
    {"proc_facts", "open: ENOENT", Control::kCaller, nullptr},
    {"host_name", "the machine is called krux", Control::kCaller, GiveHostName},
    {"cgroup_path", "the call's own cgroup is the root", Control::kNone, nullptr},
    {"host_ipc", "shmget: ENOENT", Control::kCaller, GiveSharedMemory},
    {"message_queue", "mq_open: ENOSYS", Control::kCaller, nullptr},
    {"inherited_descriptors", "only 0, 1 and 2 are open", Control::kCaller, nullptr},
    {"tty_injection", "ioctl: EPERM", Control::kCaller, nullptr},
    {"outlive_call", "left four behind", Control::kNone, nullptr},
    // kernel interfaces
    {"keyring", "keyctl: EPERM", Control::kCaller, nullptr},
    {"bpf_program", "bpf: EPERM", Control::kRoot, nullptr},
    {"io_uring_ring", "io_uring_setup: ENOSYS", Control::kCaller, nullptr},
    {"userfaultfd_stall", "userfaultfd: EPERM", Control::kRoot, nullptr},
    {"perf_events", "perf_event_open: EPERM", Control::kRoot, nullptr},
    {"compat_syscalls", "killed by signal 31", Control::kCaller, nullptr},
    {"x32_syscalls", "killed by signal 31", Control::kCaller, nullptr},
    {"personality_flags", "personality: EPERM", Control::kCaller, nullptr},
    {"process_settings", "prctl: EPERM", Control::kRoot, nullptr},
    {"become_another", "setresuid: E", Control::kRoot, nullptr},
    {"seccomp_override", "chmod: EPERM", Control::kCaller, nullptr},
    {"landlock_widen", "mkfifo: EACCES", Control::kCaller, nullptr},
    {"machine_control", "kexec_load: EPERM", Control::kRoot, nullptr},
    {"junk_syscalls", "4165 calls made", Control::kNone, GiveSecret},
    {"host_settings", "sethostname: EPERM", Control::kRoot, nullptr},
    // more than its share
    {"raise_limits", "setrlimit: EPERM", Control::kCaller, nullptr},
    {"core_dump", "setrlimit: EPERM", Control::kCaller, nullptr},
    {"fork_bomb", "fork: EAGAIN", Control::kCaller, nullptr},
    {"memory_hog", "mmap: ENOMEM", Control::kCaller, GiveLittleMemory},
};

}  // namespace

const std::vector<EscapeCase>& EscapeCases() { return kCases; }

}  // namespace krux::sandbox
