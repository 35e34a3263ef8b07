// Daemons that are stopped (SIGSTOP) instead of dead, and a user who does not wait: the call in
// flight ends cleanly within its deadline, and what hangs is replaced.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>

#include "tests/tools/krux_process.h"
#include "tools/json.h"

namespace krux::hostile {
namespace {

using Clock = std::chrono::steady_clock;

class Hang : public testing::Test {
 protected:
  void SetUp() override {
    tools::WriteFile(gateway_.Path("file"), "content");
    mkdir((gateway_.root() + "/config").c_str(), 0755);
    tools::WriteFile(config_, "[limits]\nsetup_ms = 1500\nopen_ms = 3000\nappend_ms = 1500\n");
    tools::RunOptions options;
    options.environment = {"KRUX_CONFIG=" + config_};
    ASSERT_EQ(gateway_.Krux({"gateway", "start", "--keep"}, options).exit, 0);
    ASSERT_EQ(Read().exit, 0);
  }
  tools::Ran Read() { return gateway_.Krux({"call", "fs.read", "file"}); }

  // Calls until one succeeds again; the clean codes that may come before are `allowed`.
  void RecoversWithin(std::chrono::seconds most, std::initializer_list<int> allowed) {
    const auto begin = Clock::now();
    while (Clock::now() - begin < most) {
      const tools::Ran ran = Read();
      if (ran.exit == 0) {
        EXPECT_EQ(ran.out, "content");
        return;
      }
      EXPECT_EQ(ran.out, "");
      EXPECT_NE(std::find(allowed.begin(), allowed.end(), ran.exit), allowed.end())
          << ran.exit << ": " << ran.err;
      poll(nullptr, 0, 50);
    }
    ADD_FAILURE() << "it never came back";
  }

  tools::PrivateGateway gateway_;
  std::string config_ = gateway_.root() + "/config/krux.toml";  // apart from WORK
};

TEST_F(Hang, AStoppedSpawndIs71AndThenReplaced) {
  const pid_t before = gateway_.Kruxd();
  const pid_t spawnd = gateway_.Daemon("krux-spawnd");
  ASSERT_GT(spawnd, 0);
  // The one that serves is the only child of the one that was started.
  std::ifstream children("/proc/" + std::to_string(spawnd) + "/task/" + std::to_string(spawnd) +
                         "/children");
  pid_t inner = 0;
  children >> inner;
  ASSERT_EQ(kill(spawnd, SIGSTOP), 0);
  if (inner > 0) ASSERT_EQ(kill(inner, SIGSTOP), 0);
  const auto begin = Clock::now();
  const tools::Ran ran = Read();
  // 71, or an open that was asked again of the fresh generation: bounded in any case.
  EXPECT_TRUE(ran.exit == 71 || ran.exit == 0) << ran.exit << ran.err;
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(20));
  RecoversWithin(std::chrono::seconds(30), {69, 71});
  EXPECT_NE(gateway_.Kruxd(), before) << "a fresh generation";
}

TEST_F(Hang, AStoppedMountdIs71AndThenReplaced) {
  const pid_t mountd = gateway_.Daemon("krux-mountd");
  ASSERT_GT(mountd, 0);
  ASSERT_EQ(kill(mountd, SIGSTOP), 0);
  const tools::Ran ran = Read();
  EXPECT_TRUE(ran.exit == 71 || ran.exit == 0) << ran.exit << ran.err;
  RecoversWithin(std::chrono::seconds(30), {69, 71});
  EXPECT_NE(gateway_.Daemon("krux-mountd"), mountd);
}

TEST_F(Hang, AStoppedAuditdIs74AndThenReplaced) {
  const pid_t auditd = gateway_.Daemon("krux-auditd");
  ASSERT_GT(auditd, 0);
  ASSERT_EQ(kill(auditd, SIGSTOP), 0);
  const tools::Ran ran = Read();
  EXPECT_EQ(ran.exit, 74) << ran.err;
  EXPECT_EQ(ran.out, "");
  RecoversWithin(std::chrono::seconds(60), {69, 71, 74});
}

TEST_F(Hang, AStoppedKruxdIs69AndThenReplaced) {
  const pid_t kruxd = gateway_.Kruxd();
  ASSERT_EQ(kill(kruxd, SIGSTOP), 0);
  RecoversWithin(std::chrono::seconds(60), {69});
  EXPECT_NE(gateway_.Kruxd(), kruxd);
}

TEST_F(Hang, ControlCIs130AndTheCallIsCancelledAndRecorded) {
  std::vector<std::string> words{tools::KruxProgram(), "call", "--profile", "local_dev",
                                 "proc.exec",          "--",   "sleep",     "20"};
  std::vector<std::string> environment{"PATH=/usr/bin:/bin", "HOME=" + gateway_.root() + "/home",
                                       "KRUX_STATE_DIR=" + gateway_.state(),
                                       "KRUX_RUNTIME_DIR=" + gateway_.root() + "/run"};
  std::vector<char*> argv, envp;
  for (std::string& word : words) argv.push_back(word.data());
  for (std::string& entry : environment) envp.push_back(entry.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (chdir(gateway_.work().c_str()) == 0) execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  const auto within = [&](const std::function<bool()>& condition) {
    for (int waited = 0; waited < 15'000; waited += 50) {
      if (condition()) return true;
      poll(nullptr, 0, 50);
    }
    return false;
  };
  const auto in_flight = [&](uint64_t count) {
    const auto status = tools::ParseJson(gateway_.Krux({"status", "-o", "json"}).out);
    const cbor::Value* found =
        status && status->map() != nullptr ? status->map()->Find("calls_in_flight") : nullptr;
    return found != nullptr && *found == cbor::Value(count);
  };
  ASSERT_TRUE(within([&] { return in_flight(1); }));
  ASSERT_EQ(kill(child, SIGINT), 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 130) << status;
  EXPECT_TRUE(within([&] { return in_flight(0); })) << "it must not run on";
  const tools::Ran log = gateway_.Krux({"audit", "tail", "-n", "3"});
  EXPECT_NE(log.out.find("cancelled"), std::string::npos) << log.out << log.err;
}

}  // namespace
}  // namespace krux::hostile
