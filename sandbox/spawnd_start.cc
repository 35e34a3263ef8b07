#include "sandbox/spawnd_start.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/injection.h"
#include "base/pidfd.h"
#include "sandbox/child.h"
#include "sandbox/flags.h"
#include "sandbox/mount_wire.h"
#include "sandbox/spawnd_filters.h"
#include "sandbox/template.h"

namespace krux::sandbox {
namespace {

constexpr int kJoinDeadlineMs = 10'000;

// cmake/cold_libc.ld; absent where a test links this without it.
extern "C" const char krux_cold_begin[] __attribute__((weak));
extern "C" const char krux_cold_end[] __attribute__((weak));

// Memory is counted by page and every worker is a copy: what only the start needed goes.
void LetGoOfStart() {
  if (krux_cold_begin == nullptr) return;
  const auto begin = (reinterpret_cast<uintptr_t>(krux_cold_begin) + 4095) & ~uintptr_t{4095};
  const auto end = reinterpret_cast<uintptr_t>(krux_cold_end) & ~uintptr_t{4095};
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  malloc_trim(0);
}

void Complain(const Error& error) {
  std::fprintf(stderr, "krux-spawnd: %s\n", error.message.c_str());
}

// Makes the user namespace and lets mountd write its maps.
Result<void> MakeUserNamespace(int mount_fd) {
  if (unshare(CLONE_NEWUSER) != 0) {
    return SysError(ExitCode::kSandbox, "make user namespace", errno,
                    "user namespaces are off on this host; run `krux doctor`");
  }
  const UniqueFd ns(open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC));
  if (!ns.valid()) return SysError(ExitCode::kSandbox, "open user namespace", errno);
  const Channel mountd(UniqueFd(fcntl(mount_fd, F_DUPFD_CLOEXEC, 0)));
  // unix(7): the kernel adds the sender's credentials when either end asks for them. mountd may not
  // have come so far yet, so this end asks.
  KRUX_TRY(mountd.EnableCredentials());
  const int fds[] = {ns.get()};
  KRUX_TRY(mountd.Send(mountwire::EncodeRequest(mountwire::Join{}), fds));
  const Packet packet = KRUX_TRY(mountd.ReceiveWithin(kJoinDeadlineMs, 0));
  if (packet.eof) return Fail(ExitCode::kSandbox, "mountd", "krux-mountd is gone");
  mountwire::Reply reply = KRUX_TRY(mountwire::DecodeReply(packet.bytes));
  if (auto* refused = std::get_if<mountwire::Refused>(&reply))
    return std::unexpected(std::move(refused->error));
  if (!std::holds_alternative<mountwire::Joined>(reply))
    return Fail(ExitCode::kSandbox, "mountd", "unexpected answer");
  return {};
}

[[noreturn]] void ExecInner(const SpawndFlags& flags, char** argv, int self_fd) {
  // The second process lives no longer than the first: when it goes, its pid namespace goes.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int fd : {flags.channel_fd, flags.mount_fd, flags.cgroup_fd}) {
    if (fd >= 0) fcntl(fd, F_SETFD, 0);
  }
  std::vector<char*> args;
  for (char** a = argv; *a != nullptr; ++a) args.push_back(*a);
  char inner[] = "--inner";
  char rootless[] = "--rootless";
  args.push_back(inner);
  if (flags.rootless) args.push_back(rootless);
  args.push_back(nullptr);
  char* const environment[] = {nullptr};
  syscall(SYS_execveat, self_fd, "", args.data(), environment, AT_EMPTY_PATH);
  std::perror("krux-spawnd: exec itself");
  _exit(ToInt(ExitCode::kSandbox));
}

// What is left for the first process is waiting. No Landlock: its signal scope would keep it from
// ending the second, which is older than the domain would be. When this fails it exits, and the
// second goes with it.
Result<void> ConfineOuter() {
  int error = SetNoNewPrivs();
  if (error == 0) error = SetNotDumpable();
  if (error == 0) error = KeepEffective(0);
  if (error == 0) error = LoadFilterAndProve(generated::kSpawndOuterFilter);
  if (error < 0) return SysError(ExitCode::kSandbox, "confine the first process", -error);
  return {};
}

int WaitForInner(const Pidfd& inner, int lifeline_fd) {
  pollfd fds[] = {{inner.fd(), POLLIN, 0}, {lifeline_fd, POLLIN, 0}};
  while (poll(fds, lifeline_fd >= 0 ? 2 : 1, -1) < 0 && errno == EINTR) {
  }
  if (fds[0].revents == 0) (void)inner.Kill(SIGKILL);
  const Result<ExitReport> report = inner.Wait();
  if (!report) return ToInt(ExitCode::kSandbox);
  return report->signaled ? 128 + report->status : report->status;
}

constexpr const char* kCgroupPath = "/cgroup";

// The delegated cgroup in a mount of spawnd's own. The descriptor that it was given lies on the
// host's mount: `..` from there climbs out of every root, up to the host's. From a mount of one's
// own, `..` ends at one's own root.
Result<void> AttachCgroup(int given) {
  const auto fail = [](const char* what) { return SysError(ExitCode::kSandbox, what, errno); };
  char path[PATH_MAX] = {};
  const std::string link = "/proc/self/fd/" + std::to_string(given);
  if (readlink(link.c_str(), path, sizeof(path) - 1) <= 0) return fail("find the cgroup");
  const UniqueFd copy(open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!copy.valid()) return fail("copy the mount of the cgroup");
  struct stat wanted{}, got{};
  if (fstat(given, &wanted) != 0 || fstat(copy.get(), &got) != 0) return fail("stat the cgroup");
  if (wanted.st_dev != got.st_dev || wanted.st_ino != got.st_ino)
    return Fail(ExitCode::kSandbox, "cgroup", "the cgroup is not where its path says");
  if (mkdir("/tmp/cgroup", 0755) != 0) return fail("mkdir cgroup");
  if (move_mount(copy.get(), "", AT_FDCWD, "/tmp/cgroup", MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return fail("attach the cgroup");
  return {};
}

// Closes everything but `keep` and 0, 1, 2.
Result<void> CloseAllBut(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned next = 3;
  keep.push_back(INT_MAX);
  for (const int fd : keep) {
    if (fd < 3) continue;
    const auto last = static_cast<unsigned>(fd) - 1;
    if (last >= next && close_range(next, last, 0) != 0)
      return SysError(ExitCode::kSandbox, "close_range", errno);
    next = static_cast<unsigned>(fd) + 1;
  }
  return {};
}

// namespaces(7): /proc/sys/user is the reader's own user namespace. A container may have mounted it
// read-only; then the kernel's own bound stands, and kruxd's of calls in flight.
void BoundNetNamespaces(uint64_t most) {
  constexpr const char* kFile = "sys/user/max_net_namespaces";
  const std::string number = std::to_string(most) + "\n";
  const UniqueFd proc(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  Result<void> written = WriteFileAt(proc.get(), kFile, number);
  const Result<std::string> read = ReadFileAt(proc.get(), kFile, 64);
  if (written && (!read || *read != number))
    written = Fail(ExitCode::kSandbox, kFile, "does not read back");
  if (!written)
    std::fprintf(stderr, "krux-spawnd: network namespaces are not bounded: %s\n",
                 written.error().message.c_str());
}

int InheritedFilters(int proc_fd) {
  const Result<std::string> status = ReadFileAt(proc_fd, "self/status");
  const size_t at = status ? status->find("Seccomp_filters:") : std::string::npos;
  return at == std::string::npos ? 0 : std::atoi(status->c_str() + at + 16);
}

}  // namespace

SpawndFlags ParseSpawndFlags(int argc, char** argv) {
  SpawndFlags flags;
  flags.channel_fd = FlagFd(argc, argv, "--channel-fd");
  flags.mount_fd = FlagFd(argc, argv, "--mount-fd");
  flags.lifeline_fd = FlagFd(argc, argv, "--lifeline-fd");
  flags.cgroup_fd = FlagFd(argc, argv, "--cgroup-fd");
  flags.inner = FlagSet(argc, argv, "--inner");
  flags.rootless = FlagSet(argc, argv, "--rootless");
#ifdef KRUX_TEST_HOOKS
  flags.hooks = ParseTestHooks(argc, argv);
#endif
  return flags;
}

int RunOuter(const SpawndFlags& flags, char** argv) {
  const auto fail = [](const Error& error) {
    Complain(error);
    return ToInt(ExitCode::kSandbox);
  };
  if (geteuid() == 0)
    return fail(Error{ExitCode::kSandbox, 0, "start", "must not be started as root"});
  const UniqueFd self(open("/proc/self/exe", O_PATH | O_CLOEXEC));
  if (const Result<void> made = MakeUserNamespace(flags.mount_fd); !made) return fail(made.error());
  Result<Cloned> inner =
      CloneProcess((CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) &
                       ~flags.hooks.shared_namespaces,
                   -1);
  if (!inner) return fail(inner.error());
  if (inner->pid == 0) ExecInner(flags, argv, self.get());
  for (const int fd : {flags.channel_fd, flags.mount_fd, flags.cgroup_fd}) {
    if (fd >= 0) close(fd);
  }
  if (const Result<void> confined = ConfineOuter(); !confined) return fail(confined.error());
  return WaitForInner(Pidfd(std::move(inner->pidfd)), flags.lifeline_fd);
}

Result<InnerWorld> EnterInner(const SpawndFlags& flags) {
  const auto fail = [](const char* stage) { return SysError(ExitCode::kSandbox, stage, errno); };
  InnerWorld world;
  umask(0);
  BoundNetNamespaces(flags.hooks.net_namespaces != 0 ? flags.hooks.net_namespaces : kNetNamespaces);
  world.null = UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!world.null.valid()) return fail("open /dev/null");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return fail("make mounts private");
#ifdef KRUX_TEST_HOOKS
  if (flags.hooks.Weak(kHostRoot))
    world.host_root = UniqueFd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
#endif
  // Any directory will do as a place for the new root; /tmp is there on every host.
  if (mount("krux", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=1m") != 0)
    return fail("mount root");
  if (mkdir("/tmp/proc", 0755) != 0 || mkdir((std::string("/tmp") + kBuildPath).c_str(), 0755) != 0)
    return fail("mkdir");
  if (flags.cgroup_fd >= 0) KRUX_TRY(AttachCgroup(flags.cgroup_fd));
  // Refused where the host's proc is partly covered (containers): then nothing can be measured
  // here.
  if (mount("proc", "/tmp/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid") != 0) {
    return SysError(ExitCode::kSandbox, "mount proc", errno,
                    "the host's /proc is covered; run `krux doctor`");
  }
  if (chdir("/tmp") != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
      umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) {
    return fail("pivot_root");
  }
  world.proc = UniqueFd(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  world.mount_ns = UniqueFd(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!world.proc.valid() || !world.mount_ns.valid()) return fail("open proc");
  if (flags.cgroup_fd >= 0) {
    world.cgroup = UniqueFd(open(kCgroupPath, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!world.cgroup.valid()) return fail("open cgroup");
  }
  const UniqueFd own = KRUX_TRY(OpenProcPid(world.proc.get(), getpid()));
  world.outside = KRUX_TRY(ReadNamespaceIds(own.get()));
  world.filters = InheritedFilters(world.proc.get());
  return world;
}

Result<void> ConfineInner(const SpawndFlags& flags, InnerWorld& world) {
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0)
    return SysError(ExitCode::kSandbox, "no core dumps", errno);
  KRUX_TRY(CloseAllBut({flags.channel_fd, flags.mount_fd, world.cgroup.get(), world.proc.get(),
                        world.null.get(), world.mount_ns.get(), world.host_root.get()}));
  uint64_t capabilities = kSpawndCapabilities;
#ifdef KRUX_TEST_HOOKS
  // A worker without a user namespace of its own has what spawnd has: it needs the rest to come
  // far.
  if ((flags.hooks.skip_namespaces & CLONE_NEWUSER) != 0) capabilities = ~uint64_t{0};
#endif
  int error = KeepCapabilities(capabilities);
  if (error == 0) error = SetNotDumpable();
  if (error < 0) return SysError(ExitCode::kSandbox, "give up capabilities", -error);
#ifdef KRUX_TEST_HOOKS
  if (flags.hooks.without_own_filter) return {};
#endif
  if (injection::LeftOut("seccomp")) return {};
  error = LoadFilterAndProve(generated::kSpawndFilter);
  if (error < 0) return SysError(ExitCode::kSandbox, "seccomp", -error);
  ++world.filters;
  LetGoOfStart();
  return {};
}

}  // namespace krux::sandbox
