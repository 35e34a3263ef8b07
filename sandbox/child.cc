#include "sandbox/child.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "sandbox/fds.h"
#include "sandbox/nftables.h"

namespace krux::sandbox {
namespace {

constexpr char kAbstractName[] = "krux-scope-probe";

int Errno() { return -errno; }

// What the steps hand to each other.
struct Progress {
  int control_fd;
  ChildMessage report;
};

int SendMessage(int control_fd, const ChildMessage& message, int fd) {
  iovec io{const_cast<ChildMessage*>(&message), sizeof(message)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &io;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(c), &fd, sizeof(fd));
  }
  return sendmsg(control_fd, &header, MSG_NOSIGNAL) < 0 ? Errno() : 0;
}

// Waits for one byte of the parent; -EPIPE when the parent is gone or says something else.
int Await(int control_fd, char expected) {
  char got = 0;
  for (;;) {
    const ssize_t n = read(control_fd, &got, 1);
    if (n < 0 && errno == EINTR) continue;
    return n == 1 && got == expected ? 0 : -EPIPE;
  }
}

// The parent has written uid_map and gid_map before it says 'm'.
int StepMaps(const ChildPlan&, Progress& p) { return Await(p.control_fd, 'm'); }

int StepHostname(const ChildPlan&, Progress&) { return sethostname("krux", 4) != 0 ? Errno() : 0; }

int StepProc(const ChildPlan& plan, Progress&) {
  if (!plan.mount_proc) return 0;
  return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, plan.proc_options) != 0
             ? Errno()
             : 0;
}

// Needs CAP_NET_ADMIN, so it precedes the capability drop. The socket goes out: only through it can
// the parent ask later what this namespace holds.
int StepNftables(const ChildPlan&, Progress& p) {
  const int fd = OpenNetlink();
  if (fd < 0) return fd;
  int error = SendNftBatch(fd);
  ChildMessage message;
  message.kind = ChildMessage::kNetlink;
  if (error == 0) error = SendMessage(p.control_fd, message, fd);
  close(fd);
  return error;
}

int StepRlimits(const ChildPlan& plan, Progress&) {
  return ApplyRlimits(plan.rlimits, plan.rlimit_count);
}

int StepSession(const ChildPlan&, Progress&) {
  umask(022);
  return setsid() < 0 ? Errno() : 0;
}

int StepBoundingSet(const ChildPlan&, Progress&) { return DropBoundingSet(); }
int StepSecurebits(const ChildPlan&, Progress&) { return LockSecurebits(); }

int StepIds(const ChildPlan&, Progress&) {
  if (syscall(SYS_setresgid, kInsideId, kInsideId, kInsideId) != 0) return Errno();
  return syscall(SYS_setresuid, kInsideId, kInsideId, kInsideId) != 0 ? Errno() : 0;
}

int MakeBelowTmp(const char* path) {
  char part[4096];
  const size_t size = std::strlen(path);
  if (size >= sizeof(part)) return -ENAMETOOLONG;
  for (size_t i = 5; i <= size; ++i) {
    if (path[i] != '/' && path[i] != '\0') continue;
    std::memcpy(part, path, i);
    part[i] = '\0';
    if (mkdir(part, 0755) != 0 && errno != EEXIST) return Errno();
  }
  return 0;
}

// After the ids, so that /tmp and what is made in it belong to 1100; before the capabilities go.
int StepTmp(const ChildPlan& plan, Progress&) {
  if (!plan.mount_tmp) return 0;
  int work = -1;
  if (plan.work_below_tmp != nullptr) {
    work = open_tree(AT_FDCWD, plan.work_below_tmp,
                     AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (work < 0) return Errno();
  }
  if (mount("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, plan.tmp_options) != 0) return Errno();
  if (work < 0) return 0;
  const int error = MakeBelowTmp(plan.work_below_tmp);
  if (error != 0) return error;
  const int moved = move_mount(work, "", AT_FDCWD, plan.work_below_tmp, MOVE_MOUNT_F_EMPTY_PATH);
  const int result = moved != 0 ? Errno() : 0;
  close(work);
  return result;
}

int StepCaps(const ChildPlan&, Progress&) { return DropAllCapabilities(); }
int StepNoNewPrivs(const ChildPlan&, Progress&) { return SetNoNewPrivs(); }
int StepDumpable(const ChildPlan&, Progress&) { return SetNotDumpable(); }
int StepParentDeath(const ChildPlan&, Progress&) { return SetParentDeathSignal(SIGKILL); }

int StepFds(const ChildPlan& plan, Progress& p) {
  const int keep[kWorkerFds + 1] = {plan.null_fd,    plan.null_fd,   plan.null_fd,
                                    plan.control_fd, plan.result_fd, plan.input_fd};
  const int error = KeepFds(keep, plan.input_fd >= 0 ? kWorkerFds + 1 : kWorkerFds, true);
  if (error == 0) p.control_fd = kControlFd;
  return error;
}

// An abstract socket made before the domain exists is outside of it: what the scope probe needs.
int ListenAbstract() {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Errno();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, kAbstractName, sizeof(kAbstractName) - 1);
  const socklen_t size = offsetof(sockaddr_un, sun_path) + sizeof(kAbstractName);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd, 1) != 0) {
    const int error = Errno();
    close(fd);
    return error;
  }
  return fd;
}

// The probes run here, while socket(2) still exists: the filter that comes next takes it away.
int StepLandlock(const ChildPlan& plan, Progress& p) {
  const int listener = plan.landlock_abi >= 6 ? ListenAbstract() : -1;
  if (plan.landlock_abi >= 6 && listener < 0) return listener;
  const int error = RestrictPaths(plan.landlock_abi, plan.rules, plan.rule_count);
  if (error != 0) return error;
  if (plan.landlock_abi >= 4) p.report.tcp = ProbeTcpRefused();
  if (plan.landlock_abi >= 6)
    p.report.abstract = ProbeAbstractRefused(kAbstractName, sizeof(kAbstractName) - 1);
  if (listener >= 0) close(listener);
  return 0;
}

int StepSelfFacts(const ChildPlan&, Progress& p) { return ReadSelfFacts(&p.report.self); }
int StepSeccomp(const ChildPlan& plan, Progress&) { return LoadFilter(*plan.filter); }

// Also where the steps above were left out: the probes say what really holds.
int StepReport(const ChildPlan& plan, Progress& p) {
  p.report.kind = ChildMessage::kMeasured;
  p.report.canary = ProbeCanary("/.krux-canary");
  p.report.granted = plan.granted_path != nullptr ? ProbeGranted(plan.granted_path) : 0;
  p.report.socket_refused = ProbeSocketRefused();
  p.report.digest_error = ProbeFilterDigest(p.report.digest);
  return SendMessage(p.control_fd, p.report, -1);
}

struct StepEntry {
  Step step;
  const char* name;
  const char* layer;
  int (*run)(const ChildPlan&, Progress&);
};
constexpr StepEntry kSteps[] = {
    {Step::kMaps, "maps", "user", StepMaps},
    {Step::kHostname, "hostname", "uts", StepHostname},
    {Step::kProc, "proc", "mount", StepProc},
    {Step::kNftables, "nftables", "nftables", StepNftables},
    {Step::kRlimits, "rlimits", "rlimits", StepRlimits},
    {Step::kSession, "session", "pid", StepSession},
    {Step::kBoundingSet, "bounding_set", "caps", StepBoundingSet},
    {Step::kSecurebits, "securebits", "caps", StepSecurebits},
    {Step::kIds, "ids", "user", StepIds},
    {Step::kTmp, "tmp", "mount", StepTmp},
    {Step::kCaps, "caps", "caps", StepCaps},
    {Step::kNoNewPrivs, "no_new_privs", "no_new_privs", StepNoNewPrivs},
    {Step::kDumpable, "dumpable", "caps", StepDumpable},
    {Step::kParentDeath, "parent_death", "pid", StepParentDeath},
    {Step::kFds, "fds", "fds", StepFds},
    {Step::kLandlock, "landlock", "landlock", StepLandlock},
    {Step::kSelfFacts, "self_facts", "caps", StepSelfFacts},
    {Step::kSeccomp, "seccomp", "seccomp", StepSeccomp},
    {Step::kReport, "report", "fds", StepReport},
};

bool Skipped(const ChildPlan& plan, Step step) {
#ifdef KRUX_TEST_HOOKS
  return plan.hooks != nullptr && LeaveOut(*plan.hooks, step);
#else
  (void)plan;
  (void)step;
  return false;
#endif
}

}  // namespace

const char* Name(Step step) { return kSteps[static_cast<uint32_t>(step)].name; }
const char* LayerOf(Step step) { return kSteps[static_cast<uint32_t>(step)].layer; }

void RunChild(const ChildPlan& plan) {
  Progress progress{plan.control_fd, {}};
  for (const StepEntry& entry : kSteps) {
    if (Skipped(plan, entry.step)) continue;
    const int error = entry.run(plan, progress);
    if (error == 0) continue;
    ChildMessage failed;
    failed.kind = ChildMessage::kFailed;
    failed.step = entry.step;
    failed.error = -error;
    (void)SendMessage(progress.control_fd, failed, -1);
    _exit(125);
  }
  // The barrier: the receipt equals the Spec, and the intent is durable.
  if (Await(progress.control_fd, 'g') != 0) _exit(125);
  _exit(plan.entry(plan.context));
}

}  // namespace krux::sandbox
