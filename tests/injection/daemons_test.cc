// An intruder's code inside krux-auditd, kruxd and krux-mountd, confined and about to serve. Each
// row is tried with every layer, without seccomp, without Landlock and without both, so that it
// shows which layer refuses it, and that without them it goes through.

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/channel.h"

namespace krux::injection {
namespace {

constexpr uid_t kDaemonId = 64120;
constexpr uid_t kOtherId = 64121;
constexpr int kDeadlineMs = 20'000;

constexpr int kKilled = -1;  // SIGSYS
constexpr int kLost = -2;    // it ended otherwise, or said nothing
constexpr int kAny = -3;     // not this layer's business

pid_t Sleeper(uid_t uid) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (setresuid(uid, uid, uid) != 0) _exit(1);
    prctl(PR_SET_DUMPABLE, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  return pid;
}

// What there is to reach: a folder for the daemon, files, sockets and processes that are not its
// own.
class Surroundings {
 public:
  Surroundings() {
    char name[] = "/var/tmp/krux-daemons-XXXXXX";
    root_ = mkdtemp(name);
    chmod(root_.c_str(), 0755);
    for (const char* folder : {"/log", "/key", "/run", "/open"}) {
      mkdir((root_ + folder).c_str(), 0700);
      if (chown((root_ + folder).c_str(), kDaemonId, kDaemonId) != 0) abort();
    }
    chmod((root_ + "/open").c_str(), 0777);
    std::ofstream(file()) << "open to all";
    chmod(file().c_str(), 0666);
    same_ = Sleeper(kDaemonId);
    other_ = Sleeper(kOtherId);
    Listen(path_listener_, root_ + "/open/socket", false);
    Listen(abstract_listener_, Abstract(), true);
    tcp_listener_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (bind(tcp_listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(tcp_listener_.get(), 64) != 0 ||
        getsockname(tcp_listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
      abort();
    port_ = ntohs(address.sin_port);
  }
  ~Surroundings() {
    for (const pid_t pid : {same_, other_}) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  const std::string& root() const { return root_; }
  std::string file() const { return root_ + "/open/file"; }
  // "@file", "@new", "@socket", "@abstract", "@port", "@same" and "@other" stand for what is here.
  std::string Fill(std::string attempt) const {
    const std::pair<std::string, std::string> words[] = {{"@file", file()},
                                                         {"@new", root_ + "/open/new"},
                                                         {"@abstract", Abstract()},
                                                         {"@socket", root_ + "/open/socket"},
                                                         {"@port", std::to_string(port_)},
                                                         {"@same", std::to_string(same_)},
                                                         {"@other", std::to_string(other_)}};
    for (const auto& [word, value] : words) {
      if (const size_t at = attempt.find(word); at != std::string::npos)
        attempt.replace(at, word.size(), value);
    }
    return attempt;
  }

 private:
  static std::string Abstract() { return "krux-daemons-test-" + std::to_string(getpid()); }
  static void Listen(UniqueFd& fd, const std::string& name, bool abstract) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + (abstract ? 1 : 0), name.data(), name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    fd = UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(fd.get(), 64) != 0)
      abort();
    if (!abstract) chmod(name.c_str(), 0777);
  }
  std::string root_;
  UniqueFd path_listener_, abstract_listener_, tcp_listener_;
  int port_ = 0;
  pid_t same_ = -1, other_ = -1;
};

// The daemon's own words for its command line; descriptors it is to have stay open without
// FD_CLOEXEC.
struct Start {
  std::vector<std::string> words;
  std::vector<UniqueFd> theirs;
  std::vector<UniqueFd> ours;
  uid_t uid = kDaemonId;
};

void Give(Start& start, const char* flag) {
  auto pair = Channel::Pair();
  if (!pair) abort();
  start.theirs.push_back(pair->second.TakeFd());
  start.ours.push_back(pair->first.TakeFd());
  start.words.emplace_back(flag);
  start.words.push_back(std::to_string(start.theirs.back().get()));
}

Start Auditd(const Surroundings& here) {
  Start start;
  start.words = {KRUX_AUDITD_HOOKS, "--log-dir", here.root() + "/log", "--pub",
                 here.root() + "/key/audit.pub"};
  Give(start, "--channel-fd");
  return start;
}

Start Kruxd(const Surroundings& here) {
  Start start;
  start.words = {KRUX_KRUXD_HOOKS, "--mode", "embedded", "--owner-uid", "0"};
  for (const char* flag : {"--audit-fd", "--spawn-fd", "--lifeline-fd", "--control-fd"})
    Give(start, flag);
  for (const char* flag : {"--gateway-fd", "--admin-fd"}) {
    auto door = ListenSeqpacket(here.root() + "/run" + flag, 0600, 16);
    if (!door) abort();
    start.theirs.push_back(std::move(*door));
    start.words.emplace_back(flag);
    start.words.push_back(std::to_string(start.theirs.back().get()));
  }
  return start;
}

Start Mountd(const Surroundings&) {
  Start start;
  start.words = {KRUX_MOUNTD_HOOKS, "--worker-id", std::to_string(kOtherId)};
  Give(start, "--channel-fd");
  start.uid = 0;
  return start;
}

[[noreturn]] void Become(const Start& start, std::vector<std::string> words, int out) {
  dup2(out, STDOUT_FILENO);
  // krux-mountd is root and some of its attempts succeed without a filter: not on the host.
  if (start.uid == 0 && (unshare(CLONE_NEWNS) != 0 ||
                         mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0))
    _exit(98);
  if (start.uid != 0 &&
      (setgroups(0, nullptr) != 0 || setresgid(start.uid, start.uid, start.uid) != 0 ||
       setresuid(start.uid, start.uid, start.uid) != 0))
    _exit(97);
  for (const UniqueFd& fd : start.theirs) fcntl(fd.get(), F_SETFD, 0);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(96);
}

// Runs the daemon with one attempt: its errno, kKilled or kLost.
int Try(Start start, const std::string& attempt, const std::vector<const char*>& leave_out) {
  std::vector<std::string> words = start.words;
  for (const char* layer : leave_out) words.insert(words.end(), {"--test-leave-out", layer});
  words.insert(words.end(), {"--test-inject", attempt});
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return kLost;
  const UniqueFd in(fds[0]);
  UniqueFd out(fds[1]);
  const pid_t pid = fork();
  if (pid == 0) Become(start, words, out.get());
  out.reset();
  start.theirs.clear();
  std::string said;
  for (char part[512]; said.find('\n') == std::string::npos;) {
    pollfd p{in.get(), POLLIN, 0};
    if (poll(&p, 1, kDeadlineMs) <= 0) break;
    const ssize_t got = read(in.get(), part, sizeof(part));
    if (got <= 0) break;
    said.append(part, static_cast<size_t>(got));
  }
  start.ours.clear();  // the end of its channels is the end of it
  if (said.find('\n') != std::string::npos) kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  const size_t space = said.rfind(' ');
  if (space != std::string::npos) return std::atoi(said.c_str() + space);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? kKilled : kLost;
}

struct Row {
  const char* attempt;
  int whole;             // every layer
  int without_seccomp;   // Landlock alone
  int without_landlock;  // seccomp alone
  int without_both;
};

void Check(Start (*make)(const Surroundings&), const std::vector<Row>& rows) {
  ASSERT_EQ(geteuid(), 0u);
  const Surroundings here;
  for (const Row& row : rows) {
    const std::string attempt = here.Fill(row.attempt);
    const struct {
      int expected;
      std::vector<const char*> leave_out;
      const char* said;
    } runs[] = {{row.whole, {}, "with every layer"},
                {row.without_seccomp, {"seccomp"}, "without seccomp"},
                {row.without_landlock, {"landlock"}, "without Landlock"},
                {row.without_both, {"seccomp", "landlock"}, "without both"}};
    for (const auto& run : runs) {
      if (run.expected == kAny) continue;
      EXPECT_EQ(Try(make(here), attempt, run.leave_out), run.expected)
          << attempt << " " << run.said;
    }
    unlink((here.root() + "/open/new").c_str());
  }
}

// Both: no network, no other program, no other process, none of anybody's files.
std::vector<Row> Unprivileged(int open_to_write) {
  // kruxd's filter refuses writing before Landlock is asked; krux-auditd's leaves files to
  // Landlock.
  const int made = open_to_write == 0 ? EACCES : EPERM;
  return {
      {"exec:/bin/true", kKilled, EACCES, kKilled, 0},
      {"open_read:/etc/passwd", EACCES, EACCES, 0, 0},
      {"open_write:@file", made, EACCES, open_to_write, 0},
      {"create:@new", made, EACCES, open_to_write, 0},
      {"socket_inet", EPERM, 0, EPERM, 0},
      {"socket_unix", EPERM, 0, EPERM, 0},
      {"connect_tcp:@port", EPERM, EACCES, EPERM, 0},
      {"connect_abstract:@abstract", EPERM, EPERM, EPERM, 0},
      {"connect_path:@socket", EPERM, 0, EPERM, 0},
      {"kill:@same", ENOSYS, EPERM, ENOSYS, 0},
      {"ptrace:@same", kKilled, EPERM, kKilled, kAny},  // Yama may refuse it too
      {"process_vm_readv:@same", kKilled, EPERM, kKilled, kAny},
      {"fork", ENOSYS, 0, ENOSYS, 0},
      {"unshare_user", kKilled, 0, kKilled, 0},
      {"keyctl", kKilled, 0, kKilled, 0},
      {"userfaultfd", kKilled, 0, kKilled, 0},
      {"mmap_exec", EPERM, 0, EPERM, 0},
      {"io_uring", kKilled, kAny, kKilled, kAny},
      {"bpf", kKilled, kAny, kKilled, kAny},
      // Without both its missing privilege holds.
      {"kill:@other", ENOSYS, EPERM, ENOSYS, EPERM},
      {"mount_tmpfs", kKilled, EPERM, kKilled, EPERM},
      {"chroot", kKilled, EPERM, kKilled, EPERM},
      {"setresuid_0", kKilled, EPERM, kKilled, EPERM},
      {"setns:/proc/1/ns/net", kAny, EACCES, kAny, EACCES},
  };
}

TEST(InjectedIntoAuditd, EachRefusalIsALayers) { Check(Auditd, Unprivileged(0)); }

TEST(InjectedIntoKruxd, EachRefusalIsALayers) { Check(Kruxd, Unprivileged(EPERM)); }

// Root, so seccomp, what is left of its capabilities, and of Landlock the network and the scopes.
TEST(InjectedIntoMountd, EachRefusalIsALayers) {
  Check(Mountd,
        {
            {"exec:/bin/true", kKilled, 0, kKilled, 0},
            {"mount_tmpfs", EPERM, 0, EPERM, 0},
            {"mount_bind:/etc", EPERM, 0, EPERM, 0},
            {"fsopen:tmpfs", kKilled, 0, kKilled, 0},
            {"move_mount", kKilled, ENOENT, kKilled, ENOENT},
            {"umount:/no-such-mount", kKilled, ENOENT, kKilled, ENOENT},
            {"clone_newns", EPERM, 0, EPERM, 0},
            {"unshare_user", EPERM, 0, EPERM, 0},
            {"setns:/proc/self/ns/net", EPERM, 0, EPERM, 0},
            {"create:@new", EPERM, 0, EPERM, 0},
            {"open_by_handle:/", ENOSYS, 0, ENOSYS, 0},
            {"socket_inet", EPERM, 0, EPERM, 0},
            {"connect_tcp:@port", EPERM, EACCES, EPERM, 0},
            {"connect_abstract:@abstract", EPERM, EPERM, EPERM, 0},
            {"keyctl", kKilled, 0, kKilled, 0},
            // Its capabilities: no KILL, SYS_PTRACE, NET_RAW, SYS_CHROOT, SYS_BOOT, SYS_TIME.
            {"kill:@other", ENOSYS, EPERM, ENOSYS, EPERM},
            {"ptrace:@other", kKilled, EPERM, kKilled, EPERM},
            {"socket_packet", EPERM, EPERM, EPERM, EPERM},
            {"chroot", kKilled, EPERM, kKilled, EPERM},
            {"reboot", kKilled, EPERM, kKilled, EPERM},
            {"adjtimex", ENOSYS, EPERM, ENOSYS, EPERM},
        });
}

}  // namespace
}  // namespace krux::injection
