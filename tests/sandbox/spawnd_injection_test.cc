// An intruder's code inside krux-spawnd, confined and about to serve: it reaches nothing of the
// host. The same code in a plain root process reaches all of it, and with spawnd's filter left out
// what the filter alone refuses goes through.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include "sandbox/namespaces.h"
#include "tests/injection/attempts.h"
#include "tests/sandbox/spawnd_harness.h"

namespace krux::sandbox {
namespace {

constexpr int kDeadlineMs = 20'000;
using Answers = std::map<std::string, int>;

// What an intruder would want of a host, made so that the control run finds it.
class Host {
 public:
  Host() : folder_(SpawndHarness::kClientId) {
    folder_.Write("open-to-all", "the log, the vault, another call's files\n", 0644);
    user_process_ = fork();
    if (user_process_ == 0) {
      if (setresuid(SpawndHarness::kClientId, SpawndHarness::kClientId, SpawndHarness::kClientId))
        _exit(1);
      for (;;) pause();
    }
    socket_path_ = folder_.path() + "/socket";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, socket_path_.c_str());
    listener_ = UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(listener_.get(), 16) != 0 || chmod(socket_path_.c_str(), 0777) != 0)
      abort();
  }
  ~Host() {
    kill(user_process_, SIGKILL);
    waitpid(user_process_, nullptr, 0);
  }
  std::string file() const { return folder_.path() + "/open-to-all"; }
  std::string folder() const { return folder_.path(); }
  std::string socket_path() const { return socket_path_; }
  std::string root_pid() const { return std::to_string(getpid()); }
  std::string user_pid() const { return std::to_string(user_process_); }

 private:
  ScratchDir folder_;
  std::string socket_path_;
  UniqueFd listener_;
  pid_t user_process_ = -1;
};

std::vector<std::string> ReadLines(int fd, size_t count) {
  std::string text;
  while (static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) < count) {
    pollfd p{fd, POLLIN, 0};
    char part[4096];
    if (poll(&p, 1, kDeadlineMs) <= 0) break;
    const ssize_t got = read(fd, part, sizeof(part));
    if (got <= 0) break;
    text.append(part, static_cast<size_t>(got));
  }
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Each of `attempts` in a krux-spawnd of its own test; its errno, 0 where it succeeded.
Answers Inject(bool rootless, const std::vector<std::string>& attempts,
               std::vector<std::string> more = {}) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return {};
  const UniqueFd in(fds[0]);
  UniqueFd out(fds[1]);
  HarnessOptions options;
  options.rootless = rootless;
  options.hooks = true;
  options.spawnd_flags = std::move(more);
  options.spawnd_stdout = out.get();
  for (const std::string& attempt : attempts) {
    options.spawnd_flags.push_back("--test-inject");
    options.spawnd_flags.push_back(attempt);
  }
  auto harness = SpawndHarness::Start(options);
  EXPECT_TRUE(harness) << harness.error().message;
  out.reset();
  Answers answers;
  for (const std::string& line : ReadLines(in.get(), attempts.size())) {
    const size_t space = line.rfind(' ');
    answers[line.substr(0, space)] = std::atoi(line.c_str() + space);
  }
  return answers;
}

// The same code as root, in a mount namespace of its own so that nothing is left on the host.
int AsPlainRoot(const std::string& attempt) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      _exit(254);
    _exit(injection::Attempt(attempt));
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

constexpr int kOther = 1000;  // any answer but that of success

struct Row {
  std::string attempt;
  int refused;              // in krux-spawnd
  int control = 0;          // as plain root: 0, or another errno than that of a refusal
  int without_filter = -1;  // in krux-spawnd without its filter; -1: as with it
};

std::vector<Row> Rows(const Host& host) {
  return {
      // Files of the host: there is none, by name, through what it holds, or through proc.
      {"open_read:/etc/shadow", ENOENT},
      {"open_read:/etc/passwd", ENOENT},
      {"open_read:" + host.file(), ENOENT},
      {"create:" + host.folder() + "/made", ENOENT},
      {"list:" + host.folder(), ENOENT},
      {"list:/etc", ENOENT},
      {"walk_fds:/etc/passwd", ENOENT, ENOENT},  // the control is a test of its own, below
      {"walk_fds:/etc/shadow", ENOENT, ENOENT},
      {"walk_fds:" + host.file(), ENOENT, ENOENT},
      {"walk_proc_links:/etc/passwd", ENOENT},
      {"open_by_handle:/", EPERM, 0},
      // The kernel's controls.
      {"open_write:/proc/sys/kernel/core_pattern", ENOENT},
      {"mount_proc_and_write:sys/kernel/core_pattern", EACCES, ENOENT},
      {"mount_sysfs", EPERM, ENOENT},  // there is no place for it on the host
      // Mounts of the host. (Its own, in its own tree, are its work.)
      {"mount_bind:" + host.folder(), ENOENT},
      {"open_tree:" + host.folder(), ENOENT},
      {"mount_block_device", EPERM},
      {"fsopen:tmpfs", EPERM, 0, 0},
      {"setns:/proc/self/ns/pid", EPERM, 0, 0},  // its own: the host's has no name here
      {"clone_newuser", 0},                      // its work: workers
      // Processes: none of the host has a number here.
      {"kill:" + host.root_pid(), ESRCH},
      {"kill:" + host.user_pid(), ESRCH},
      {"pidfd_open:" + host.root_pid(), ESRCH},
      {"pidfd_open:" + host.user_pid(), ESRCH},
      {"kill_through_fds", EBADF, EBADF},
      {"ptrace:" + host.user_pid(), EPERM, 0, ESRCH},
      {"process_vm_readv:" + host.user_pid(), EPERM, 0, ESRCH},
      {"exec_in_place:/bin/true", ENOENT},
      // Sockets of the host.
      {"connect_path:" + host.socket_path(), ENOENT},
      {"socket_packet", EPERM},
      // The kernel itself.
      {"keyctl", EPERM, 0, 0},
      {"add_key", EPERM, 0, 0},
      {"bpf", EPERM, EINVAL, EINVAL},
      {"perf_event_open", EPERM, 0, 0},
      {"io_uring", ENOSYS, 0, 0},
      {"userfaultfd", EPERM, 0, 0},
      {"init_module", EPERM, kOther, kOther},  // ENOSYS where the kernel takes no modules
      {"kexec_load", EPERM, kOther, kOther},
      {"reboot", EPERM, EINVAL},
      {"adjtimex", EPERM, EINVAL},
      // Last, because without the filter they change what comes after.
      {"chroot", EPERM, 0, 0},
      {"unshare_user", EPERM, 0, 0},
  };
}

class SpawndInjection : public testing::TestWithParam<bool> {};

TEST_P(SpawndInjection, ReachesNothingOfTheHost) {
  ASSERT_EQ(geteuid(), 0u);
  const Host host;
  std::vector<std::string> attempts;
  for (const Row& row : Rows(host)) attempts.push_back(row.attempt);
  const Answers answers = Inject(GetParam(), attempts);
  for (const Row& row : Rows(host)) {
    ASSERT_TRUE(answers.contains(row.attempt)) << row.attempt << " was not answered";
    EXPECT_EQ(answers.at(row.attempt), row.refused)
        << row.attempt << ": " << strerror(answers.at(row.attempt));
  }
}

TEST_P(SpawndInjection, WithoutItsFilterTheRestOfItsWorldHolds) {
  const Host host;
  std::vector<std::string> attempts;
  for (const Row& row : Rows(host)) attempts.push_back(row.attempt);
  const Answers answers = Inject(GetParam(), attempts, {"--test-leave-out", "seccomp"});
  for (const Row& row : Rows(host)) {
    ASSERT_TRUE(answers.contains(row.attempt)) << row.attempt << " was not answered";
    const int expected = row.without_filter >= 0 ? row.without_filter : row.refused;
    if (expected == kOther) {
      EXPECT_NE(answers.at(row.attempt), 0) << row.attempt;
      continue;
    }
    EXPECT_EQ(answers.at(row.attempt), expected)
        << row.attempt << ": " << strerror(answers.at(row.attempt));
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, SpawndInjection, testing::Values(false, true),
                         [](const auto& row) { return row.param ? "Rootless" : "Root"; });

TEST(SpawndInjectionControl, TheSameCodeAsPlainRootIsNotRefused) {
  const Host host;
  for (const Row& row : Rows(host)) {
    const int answer = AsPlainRoot(row.attempt);
    EXPECT_TRUE(answer == row.control || row.control == kOther) << row.attempt << " " << answer;
  }
}

// Why spawnd has a mount of its own of the delegated cgroup and not the descriptor it was given.
TEST(SpawndInjectionControl, ADirectoryOfTheHostWouldBeAWayOut) {
  const int status = [] {
    const pid_t pid = fork();
    if (pid == 0) {
      const int held = open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      char empty[] = "/tmp/krux-empty-XXXXXX";
      if (held < 0 || mkdtemp(empty) == nullptr || chroot(empty) != 0 || chdir("/") != 0)
        _exit(254);
      const int error = injection::Attempt("walk_fds:/etc/passwd");
      rmdir(empty);
      _exit(error);
    }
    int result = 0;
    waitpid(pid, &result, 0);
    return WEXITSTATUS(result);
  }();
  EXPECT_EQ(status, 0);
}

std::string Status(pid_t pid, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name + ":")) continue;
    const size_t begin = line.find_first_not_of(" \t", name.size() + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "?";
}

TEST_P(SpawndInjection, HoldsNoCapabilityOfTheHostAndNoUidZero) {
  HarnessOptions options;
  options.rootless = GetParam();
  auto harness = SpawndHarness::Start(options);
  ASSERT_TRUE(harness) << harness.error().message;
  const ScratchDir work(SpawndHarness::kClientId);
  if (!GetParam()) {
    ASSERT_TRUE((*harness)->Prepare(work.path(), WorkClass::kFs, false));
  } else {
    const ScratchDir own(SpawndHarness::kRootlessId);
    ASSERT_TRUE((*harness)->Prepare(own.path(), WorkClass::kFs, false));
  }
  const pid_t outer = (*harness)->spawnd_pid();
  pid_t inner = 0;
  std::ifstream("/proc/" + std::to_string(outer) + "/task/" + std::to_string(outer) +
                "/children") >>
      inner;
  ASSERT_GT(inner, 0);
  struct stat here{}, there{};
  ASSERT_EQ(stat("/proc/self/ns/user", &here), 0);
  ASSERT_EQ(stat(("/proc/" + std::to_string(inner) + "/ns/user").c_str(), &there), 0);
  EXPECT_NE(here.st_ino, there.st_ino) << "its capabilities are those of this user namespace";
  EXPECT_EQ(Status(outer, "CapEff"), "0000000000000000");
  EXPECT_EQ(Status(outer, "CapPrm"), "0000000000000000");
  EXPECT_EQ(Status(outer, "NoNewPrivs"), "1");
  EXPECT_EQ(Status(outer, "Seccomp"), "2");
  // SETGID SETUID SYS_CHROOT SYS_PTRACE SYS_ADMIN SETFCAP DAC_READ_SEARCH, inside
  EXPECT_EQ(Status(inner, "CapEff"), "00000000802c00c4");
  EXPECT_EQ(Status(inner, "CapBnd"), "00000000802c00c4");
  EXPECT_EQ(Status(inner, "Seccomp"), "2");
  EXPECT_EQ(Status(inner, "NoNewPrivs"), "0") << "the receipt could not prove a worker's own";
  for (const char* file : {"uid_map", "gid_map"}) {
    std::ifstream map("/proc/" + std::to_string(inner) + "/" + file);
    uint64_t inside = 0, outside = 0, count = 0;
    int lines = 0;
    for (; map >> inside >> outside >> count; ++lines) {
      EXPECT_GT(outside, 0u) << file;
      EXPECT_EQ(count, 1u) << file;
    }
    EXPECT_EQ(lines, GetParam() ? 1 : 2) << file;
  }
  EXPECT_EQ(Status((*harness)->mountd_pid(), "Seccomp"), "2");
  EXPECT_EQ(Status((*harness)->mountd_pid(), "NoNewPrivs"), "1");
  // SYS_ADMIN SETUID SETGID SETFCAP DAC_READ_SEARCH; rootless SYS_ADMIN in spawnd's namespace.
  EXPECT_EQ(Status((*harness)->mountd_pid(), "CapEff"),
            GetParam() ? "0000000000200000" : "00000000802000c4");
}

}  // namespace
}  // namespace krux::sandbox
