// A private gateway with its real daemons: started once by whoever comes first, restarted when a
// daemon dies, ended without a trace. Runs as root and as an ordinary user.
#include "gateway/supervisor/supervisor.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>

#include "gateway/client/ensure.h"
#include "gateway/supervisor/delegated_cgroup.h"
#include "gateway/supervisor/ids.h"

namespace krux::gateway {
namespace {

namespace fs = std::filesystem;

bool Within(int milliseconds, const std::function<bool()>& condition) {
  for (int waited = 0; waited < milliseconds; waited += 10) {
    if (condition()) return true;
    poll(nullptr, 0, 10);
  }
  return condition();
}

std::string StatusField(pid_t pid, const std::string& name) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(name + ":")) continue;
    const size_t value = line.find_first_not_of(" \t", name.size() + 1);
    return value == std::string::npos ? std::string() : line.substr(value);
  }
  return {};
}

bool Runs(pid_t pid) {
  const std::string state = StatusField(pid, "State");
  return !state.empty() && state[0] != 'Z' && state[0] != 'X';
}

class Supervised : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/krux-gw-XXXXXX";
    root_ = mkdtemp(name);
    work_ = root_ + "/work";
    fs::create_directory(work_);
    std::ofstream(work_ + "/a.txt") << "hello\n";
    setenv("KRUX_STATE_DIR", (root_ + "/state").c_str(), 1);
    setenv("KRUX_RUNTIME_DIR", (root_ + "/run").c_str(), 1);
    paths_ = FindGatewayPaths().value();
    start_.krux_program = KRUX_BIN_DIR "/krux";
    start_.allow_degraded = {"cgroup"};
  }

  void TearDown() override {
    if (auto admin = Client::ConnectAdmin(paths_, 2'000); admin) {
      EXPECT_TRUE(admin->Stop().has_value());
    }
    if (HasFailure()) {
      std::ifstream log(paths_.gateway_log);
      std::cerr << log.rdbuf();
    }
    fs::remove_all(root_);
  }

  Client Ensure() {
    auto client = EnsureGateway(paths_, start_);
    if (!client) {
      ADD_FAILURE() << client.error().message;
      return {};
    }
    return std::move(*client);
  }

  Result<Reply> Read(Client& client) {
    KRUX_TRY(
        client.Open({UniqueFd(open(work_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), work_}));
    return client.Call("fs.read", {{"path", work_ + "/a.txt"}});
  }

  pid_t SupervisorOf(const Client& client) {
    return std::atoi(StatusField(static_cast<pid_t>(client.gateway().pid), "PPid").c_str());
  }

  // argv[0] → pid of every living child of `parent`.
  std::map<std::string, pid_t> ChildrenOf(pid_t parent) {
    std::map<std::string, pid_t> children;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const pid_t pid = std::atoi(entry.path().filename().c_str());
      if (pid <= 0 || StatusField(pid, "PPid") != std::to_string(parent) || !Runs(pid)) continue;
      std::ifstream cmdline(entry.path() / "cmdline");
      std::string name;
      std::getline(cmdline, name, '\0');
      children[name] = pid;
    }
    return children;
  }

  std::string root_, work_;
  GatewayPaths paths_;
  StartOptions start_;
};

TEST_F(Supervised, TheFirstCallStartsItTheSecondFindsItAndStopLeavesNothing) {
  int said = 0;
  start_.say = [&](std::string_view) { ++said; };
  pid_t supervisor = 0;
  std::map<std::string, pid_t> daemons;
  {
    Client first = Ensure();
    Client second = Ensure();
    EXPECT_EQ(said, 1);
    EXPECT_EQ(first.gateway().pid, second.gateway().pid);
    EXPECT_EQ(first.gateway().mode, geteuid() == 0 ? "embedded" : "rootless");
    const auto reply = Read(first);
    ASSERT_TRUE(reply.has_value()) << reply.error().message;
    EXPECT_EQ(reply->code, ExitCode::kOk) << reply->message;
    EXPECT_EQ(reply->output.ReadAll().value(), "hello\n");
    supervisor = SupervisorOf(first);
    daemons = ChildrenOf(supervisor);
    EXPECT_EQ(daemons.size(), 4u);
  }
  struct stat st{};
  ASSERT_EQ(stat(paths_.runtime_dir.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
  EXPECT_EQ(fs::exists(paths_.audit_public_key), true);
  ASSERT_TRUE(Client::ConnectAdmin(paths_)->Stop().has_value());
  EXPECT_FALSE(fs::exists(paths_.gateway_socket));
  EXPECT_FALSE(fs::exists(paths_.admin_socket));
  for (const auto& [name, pid] : daemons) EXPECT_FALSE(Runs(pid)) << name;
  EXPECT_TRUE(Within(2'000, [&] { return !Runs(supervisor); }));
  for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    EXPECT_FALSE(fs::exists(std::string(mount) + "/krux-" + std::to_string(supervisor)));
  }
}

TEST_F(Supervised, EachDaemonHasItsOwnIdAndOnlyMountdIsRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "one uid for all where the caller is not root";
  Client client = Ensure();
  const auto daemons = ChildrenOf(SupervisorOf(client));
  std::map<std::string, std::string> owners;
  for (const auto& [name, pid] : daemons) {
    const std::string uids = StatusField(pid, "Uid");
    EXPECT_EQ(StatusField(pid, "Gid"), uids) << name;
    EXPECT_TRUE(owners.emplace(uids, name).second)
        << name << " shares its uid with " << owners[uids];
    const bool root = uids.starts_with("0\t");
    EXPECT_EQ(root, name == "krux-mountd") << name << " " << uids;
    if (!root) {
      EXPECT_EQ(StatusField(pid, "CapEff"),
                name == "krux-spawnd" ? StatusField(pid, "CapEff") : "0000000000000000")
          << name;
      EXPECT_EQ(StatusField(pid, "Groups"), "") << name;
    }
  }
  EXPECT_EQ(StatusField(daemons.at("kruxd"), "NoNewPrivs"), "1");
}

TEST_F(Supervised, RacingFirstCallersStartOneGateway) {
  constexpr int kCallers = 8;
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  std::vector<pid_t> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.push_back(fork());
    if (callers.back() == 0) {
      auto client = EnsureGateway(paths_, start_);
      const uint64_t pid = client ? client->gateway().pid : 0;
      _exit(write(pipe_fds[1], &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);
    }
  }
  uint64_t first = 0;
  for (int i = 0; i < kCallers; ++i) {
    uint64_t pid = 0;
    ASSERT_EQ(read(pipe_fds[0], &pid, sizeof(pid)), static_cast<ssize_t>(sizeof(pid)));
    EXPECT_NE(pid, 0u);
    if (first == 0) first = pid;
    EXPECT_EQ(pid, first);
  }
  for (const pid_t caller : callers) waitpid(caller, nullptr, 0);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST_F(Supervised, AKilledDaemonBringsAFreshGenerationAndTheSameSupervisor) {
  for (const char* victim : {"kruxd", "krux-auditd", "krux-spawnd", "krux-mountd"}) {
    Client client = Ensure();
    ASSERT_EQ(Read(client)->code, ExitCode::kOk);
    const pid_t supervisor = SupervisorOf(client);
    const auto before = ChildrenOf(supervisor);
    ASSERT_TRUE(before.contains(victim));
    ASSERT_EQ(kill(before.at(victim), SIGKILL), 0);
    EXPECT_TRUE(Within(10'000, [&] {
      const auto now = ChildrenOf(supervisor);
      return now.size() == 4 && now.contains("kruxd") && now.at("kruxd") != before.at("kruxd");
    })) << victim;
    for (const auto& [name, pid] : before)
      EXPECT_FALSE(Runs(pid)) << name << " outlived " << victim;
    Client again = Ensure();
    EXPECT_EQ(SupervisorOf(again), supervisor) << victim;
    const auto reply = Read(again);
    ASSERT_TRUE(reply.has_value()) << victim << ": " << reply.error().message;
    EXPECT_EQ(reply->code, ExitCode::kOk) << victim << ": " << reply->message;
  }
}

TEST_F(Supervised, WithoutRestartADeadAuditdMeansThatEveryCallEnds74) {
  start_.extra_arguments = {"--no-restart"};
  Client client = Ensure();
  ASSERT_EQ(Read(client)->code, ExitCode::kOk);
  const auto daemons = ChildrenOf(SupervisorOf(client));
  ASSERT_EQ(kill(daemons.at("krux-auditd"), SIGKILL), 0);
  const auto reply = client.Call("fs.read", {{"path", work_ + "/a.txt"}});
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->code, ExitCode::kAudit);
  EXPECT_EQ(reply->bytes, 0u);
  Client later = Ensure();
  const auto opened = Read(later);
  EXPECT_EQ(opened ? opened->code : opened.error().code, ExitCode::kAudit);
}

TEST_F(Supervised, WhenTheSupervisorIsKilledItsDaemonsEndAndTheNextCallStartsANewOne) {
  pid_t supervisor = 0;
  std::map<std::string, pid_t> daemons;
  {
    Client client = Ensure();
    supervisor = SupervisorOf(client);
    daemons = ChildrenOf(supervisor);
  }
  ASSERT_EQ(kill(supervisor, SIGKILL), 0);
  for (const auto& [name, pid] : daemons)
    EXPECT_TRUE(Within(5'000, [pid = pid] { return !Runs(pid); })) << name;
  Client again = Ensure();
  EXPECT_NE(SupervisorOf(again), supervisor);
  EXPECT_EQ(Read(again)->code, ExitCode::kOk);
  for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    EXPECT_FALSE(fs::exists(std::string(mount) + "/krux-" + std::to_string(supervisor)))
        << "what it left must go";
  }
}

TEST_F(Supervised, ItEndsSomeTimeAfterItsLastClientAndNotBefore) {
  start_.extra_arguments = {"--idle-seconds", "1"};
  pid_t supervisor = 0;
  {
    Client client = Ensure();
    supervisor = SupervisorOf(client);
    EXPECT_FALSE(Within(1'500, [&] { return !Runs(supervisor); })) << "a client is connected";
  }
  EXPECT_TRUE(Within(8'000, [&] { return !Runs(supervisor); }));
  EXPECT_FALSE(fs::exists(paths_.gateway_socket));
}

TEST_F(Supervised, ACallCannotWidenARunningGateway) {
  Client client = Ensure();
  StartOptions wider = start_;
  wider.allow_degraded = {"cgroup", "seccomp"};
  const auto refused = EnsureGateway(paths_, wider);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ExitCode::kConfig);
  EXPECT_NE(refused.error().message.find("`seccomp`"), std::string::npos);
  EXPECT_TRUE(EnsureGateway(paths_, start_).has_value()) << "what it already allows is no widening";
}

TEST_F(Supervised, FoldersThatOthersCouldReachAre78) {
  const auto code = [&] {
    const auto client = EnsureGateway(paths_, start_);
    return client ? ExitCode::kOk : client.error().code;
  };
  fs::create_directory(paths_.runtime_dir);
  chmod(paths_.runtime_dir.c_str(), 0755);
  EXPECT_EQ(code(), ExitCode::kConfig);
  fs::remove(paths_.runtime_dir);
  fs::create_directory(root_ + "/elsewhere");
  chmod((root_ + "/elsewhere").c_str(), 0700);
  fs::create_directory_symlink(root_ + "/elsewhere", paths_.runtime_dir);
  EXPECT_EQ(code(), ExitCode::kConfig);
  fs::remove(paths_.runtime_dir);
  fs::create_directory(paths_.state_dir);
  chmod(paths_.state_dir.c_str(), 0770);
  EXPECT_EQ(code(), ExitCode::kConfig);
  fs::remove_all(paths_.state_dir);
  if (geteuid() == 0) {
    fs::create_directory(paths_.runtime_dir);
    chmod(paths_.runtime_dir.c_str(), 0700);
    ASSERT_EQ(chown(paths_.runtime_dir.c_str(), 12345, 12345), 0);
    EXPECT_EQ(code(), ExitCode::kConfig);
    fs::remove(paths_.runtime_dir);
  }
  setenv("KRUX_RUNTIME_DIR", (root_ + "/" + std::string(100, 'x')).c_str(), 1);
  const auto too_long = EnsureGateway(FindGatewayPaths().value(), start_);
  ASSERT_FALSE(too_long.has_value());
  EXPECT_EQ(too_long.error().code, ExitCode::kConfig);
  setenv("KRUX_RUNTIME_DIR", "relative", 1);
  EXPECT_EQ(FindGatewayPaths().error().code, ExitCode::kConfig);
}

TEST_F(Supervised, AServiceThatDoesNotAnswerIs69AndNothingIsStarted) {
  GatewayPaths service = paths_;
  service.service = true;
  const auto client = EnsureGateway(service, start_);
  ASSERT_FALSE(client.has_value());
  EXPECT_EQ(client.error().code, ExitCode::kUnreachable);
  EXPECT_FALSE(fs::exists(paths_.runtime_dir));
}

TEST_F(Supervised, AGatewayOfAnotherUidIsNotTalkedTo) {
  Client client = Ensure();
  GatewayPaths other = paths_;
  other.owner = geteuid() + 1;
  const auto refused = Client::Connect(other);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ExitCode::kUnreachable);
}

TEST_F(Supervised, ADaemonThatCannotStartIsSaidToWhoeverAsked) {
  start_.start_timeout_ms = 10'000;
  fs::create_directory(root_ + "/empty");
  setenv("KRUX_LIBEXEC_DIR", (root_ + "/empty").c_str(), 1);
  const auto client = EnsureGateway(paths_, start_);
  unsetenv("KRUX_LIBEXEC_DIR");
  ASSERT_FALSE(client.has_value());
  EXPECT_EQ(client.error().code, ExitCode::kConfig);
  EXPECT_NE(client.error().message.find("krux-auditd"), std::string::npos)
      << client.error().message;
}

TEST_F(Supervised, IdsAreFreeRecordedAndKept) {
  EXPECT_FALSE(IsFreeId(0, false));
  EXPECT_FALSE(IsFreeId(geteuid() == 0 ? 1 : geteuid(), false));
  const UniqueFd dir(open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto first = ChooseIds(dir.get());
  const auto second = ChooseIds(dir.get());
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->audit, second->audit);
  EXPECT_EQ(first->worker, second->worker);
  if (geteuid() != 0) {
    EXPECT_EQ(first->worker, geteuid());
    return;
  }
  const std::set<uid_t> distinct{first->audit, first->kruxd, first->spawn, first->worker, 0};
  EXPECT_EQ(distinct.size(), 5u);
  // Somebody moved in under a recorded id: another one is taken.
  const pid_t squatter = fork();
  if (squatter == 0) {
    if (setresgid(first->worker, first->worker, first->worker) != 0 ||
        setresuid(first->worker, first->worker, first->worker) != 0)
      _exit(1);
    pause();
    _exit(0);
  }
  ASSERT_TRUE(Within(2'000, [&] {
    return StatusField(squatter, "Uid").starts_with(std::to_string(first->worker));
  }));
  const auto third = ChooseIds(dir.get());
  kill(squatter, SIGKILL);
  waitpid(squatter, nullptr, 0);
  ASSERT_TRUE(third.has_value());
  EXPECT_NE(third->worker, first->worker);
  EXPECT_EQ(third->audit, first->audit);
}

TEST_F(Supervised, AZombieHoldsNoId) {
  if (geteuid() != 0) GTEST_SKIP() << "one uid for all where the caller is not root";
  const UniqueFd dir(open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto first = ChooseIds(dir.get());
  ASSERT_TRUE(first.has_value());
  const pid_t zombie = fork();
  if (zombie == 0)
    _exit(setresgid(first->worker, first->worker, first->worker) != 0 ||
          setresuid(first->worker, first->worker, first->worker) != 0);
  EXPECT_TRUE(Within(2'000, [&] { return StatusField(zombie, "State").starts_with("Z"); }));
  const auto second = ChooseIds(dir.get());
  waitpid(zombie, nullptr, 0);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->worker, first->worker);
}

TEST(Cgroup2Mount, IsFoundByTypeAndOnlyWhereItCanBeWritten) {
  EXPECT_EQ(FindCgroup2Mount(
                "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"),
            "/sys/fs/cgroup");
  EXPECT_EQ(
      FindCgroup2Mount("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
                       "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"),
      "/sys/fs/cgroup/unified");
  EXPECT_EQ(FindCgroup2Mount("31 23 0:28 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw\n"), "");
  EXPECT_EQ(FindCgroup2Mount("31 23 0:28 / /cgroup2 rw - cgroup cgroup2 rw\nnonsense\n"), "");
}

}  // namespace
}  // namespace krux::gateway
