#include "sandbox/spawnd_start.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/pidfd.h"
#include "sandbox/child.h"
#include "sandbox/flags.h"
#include "sandbox/mount_wire.h"
#include "sandbox/template.h"

namespace krux::sandbox {
namespace {

constexpr int kJoinDeadlineMs = 10'000;

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

int WaitForInner(const Pidfd& inner, int lifeline_fd) {
  pollfd fds[] = {{inner.fd(), POLLIN, 0}, {lifeline_fd, POLLIN, 0}};
  while (poll(fds, lifeline_fd >= 0 ? 2 : 1, -1) < 0 && errno == EINTR) {
  }
  if (fds[0].revents == 0) (void)inner.Kill(SIGKILL);
  const Result<ExitReport> report = inner.Wait();
  return report && !report->signaled ? report->status : ToInt(ExitCode::kSandbox);
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
  return WaitForInner(Pidfd(std::move(inner->pidfd)), flags.lifeline_fd);
}

Result<InnerWorld> EnterInner() {
  const auto fail = [](const char* stage) { return SysError(ExitCode::kSandbox, stage, errno); };
  InnerWorld world;
  umask(0);
  world.null = UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!world.null.valid()) return fail("open /dev/null");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return fail("make mounts private");
#ifdef KRUX_TEST_HOOKS
  world.host_root = UniqueFd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
#endif
  // Any directory will do as a place for the new root; /tmp is there on every host.
  if (mount("krux", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=1m") != 0)
    return fail("mount root");
  if (mkdir("/tmp/proc", 0755) != 0 || mkdir((std::string("/tmp") + kBuildPath).c_str(), 0755) != 0)
    return fail("mkdir");
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
  const UniqueFd own = KRUX_TRY(OpenProcPid(world.proc.get(), getpid()));
  world.outside = KRUX_TRY(ReadNamespaceIds(own.get()));
  world.filters = InheritedFilters(world.proc.get());
  return world;
}

}  // namespace krux::sandbox
