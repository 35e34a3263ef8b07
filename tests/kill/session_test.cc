// A session outlives every process: the digest over all that it is in reads the same after kill -9
// of everything, at rest and at every point of a call, with a torn log and with a log that hangs.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "gateway/stop_point.h"
#include "tests/kill/process_tree.h"
#include "tests/kill/scenario.h"
#include "tests/tools/krux_process.h"
#include "tools/json.h"

namespace krux::kill_tests {
namespace {

namespace fs = std::filesystem;
using tools::Ran;

struct Shown {
  std::string digest, session;
  uint64_t calls = 0, wall_left = 0;
  cbor::Map exposure;
};

class Session : public ::testing::Test {
 protected:
  void SetUp() override {
    programs_ = InstallPrograms();
    gateway_.emplace(std::nullopt, programs_ + "/krux");
    tools::WriteFile(gateway_->Path("file"), "content");
  }
  void TearDown() override {
    gateway_.reset();
    std::error_code ignored;
    fs::remove_all(programs_, ignored);
  }

  Ran Krux(const std::vector<std::string>& words) const {
    std::vector<std::string> environment;
    if (!lib_.empty()) environment = {"KRUX_LIBEXEC_DIR=" + lib_};
    return gateway_->Krux(words, {.environment = environment});
  }
  Ran Write() const {
    return Krux(
        {"call", "--profile", "local_dev", "proc.exec", "--", "/bin/sh", "-c", "cat file > copy"});
  }

  void KillEverything() const {
    const pid_t supervisor = ServerOf(gateway_->root() + "/run/gateway.sock");
    ASSERT_NE(supervisor, 0);
    const std::vector<Process> all = ProcessTree(supervisor);
    for (const Process& process : all) kill(process.pid, SIGSTOP);  // nobody gets to say anything
    for (const Process& process : all) kill(process.pid, SIGKILL);
    for (const Process& process : all)
      EXPECT_TRUE(Within(5'000, [&] { return !Runs(process); })) << process.name;
  }

  // `gateway start` first: it knows what must be degraded here.
  Shown Show() const {
    EXPECT_EQ(Krux({"gateway", "start"}).exit, 0);
    const Ran ran = Krux({"session", "show", "--profile", "local_dev", "-o", "json"});
    EXPECT_EQ(ran.exit, 0) << ran.err;
    const auto value = tools::ParseJson(ran.out);
    if (!value || value->map() == nullptr) {
      ADD_FAILURE() << ran.out;
      return {};
    }
    const cbor::Map& map = *value->map();
    Shown shown;
    shown.digest = *map.Find("digest")->text();
    shown.session = *map.Find("session")->text();
    shown.calls = *map.Find("calls")->uint();
    shown.exposure = *map.Find("exposure")->map();
    if (const cbor::Value* wall = map.Find("left")->map()->Find("wall_ms"); wall != nullptr)
      shown.wall_left = *wall->uint();
    return shown;
  }

  void ExpectVerified() const {
    const Ran verified = Krux({"audit", "verify"});
    EXPECT_EQ(verified.exit, 0) << verified.out << verified.err;
  }

  fs::path LastSegment() const {
    fs::path last;
    for (const auto& entry : fs::recursive_directory_iterator(gateway_->state())) {
      const bool segment = entry.path().filename().string().starts_with("seg-");
      if (segment && (last.empty() || entry.path().filename() > last.filename()))
        last = entry.path();
    }
    return last;
  }

  std::string programs_, lib_;
  std::optional<tools::PrivateGateway> gateway_;
};

TEST_F(Session, IsTheSameAfterKillOfEverything) {
  ASSERT_EQ(Write().exit, 0);
  const Shown before = Show();
  EXPECT_FALSE(before.exposure.empty());
  EXPECT_EQ(before.calls, 1u);
  KillEverything();
  const Shown after = Show();
  std::printf("before %s\nafter  %s\n", before.digest.c_str(), after.digest.c_str());
  EXPECT_EQ(after.digest, before.digest);
  EXPECT_EQ(after.exposure, before.exposure);
  // It goes on: the same session, with what it has used.
  ASSERT_EQ(Write().exit, 0);
  const Shown on = Show();
  EXPECT_EQ(on.session, before.session);
  EXPECT_EQ(on.calls, 2u);
  EXPECT_LE(on.wall_left, before.wall_left);
  ExpectVerified();
}

TEST_F(Session, OutlivesAnOrderlyStop) {
  ASSERT_EQ(Write().exit, 0);
  const Shown before = Show();
  ASSERT_EQ(Krux({"gateway", "stop"}).exit, 0);
  EXPECT_EQ(Show().digest, before.digest);
}

TEST_F(Session, IsTheSameAfterATornWrite) {
  ASSERT_EQ(Write().exit, 0);
  const Shown before = Show();
  KillEverything();
  const std::string segment = LastSegment();
  // The kernel lets nobody write into the middle of it, but behind it.
  std::ofstream(segment, std::ios::app | std::ios::binary) << std::string("\x83\x1a\0\0", 4);
  const Shown after = Show();
  EXPECT_EQ(after.digest, before.digest);
  EXPECT_NE(LastSegment(), segment);  // another one began, with what is carried
  KillEverything();
  EXPECT_EQ(Show().digest, before.digest);
  ExpectVerified();
}

TEST_F(Session, IsNotClearedWithoutATerminal) {
  ASSERT_EQ(Write().exit, 0);
  const Shown before = Show();
  const Ran refused = Krux({"session", "new"});
  EXPECT_EQ(refused.exit, 77) << refused.err;
  EXPECT_NE(refused.err.find("from a terminal"), std::string::npos) << refused.err;
  EXPECT_EQ(Show().digest, before.digest);
}

// Held at a point of a call, and everything killed there. What was decided stays decided; nothing
// goes back; and the next kill changes nothing at all.
class SessionAt : public Session, public ::testing::WithParamInterface<const char*> {};

TEST_P(SessionAt, LosesNothing) {
  ASSERT_EQ(Krux({"call", "--profile", "local_dev", "fs.list", "."}).exit, 0);
  const Shown before = Show();
  ASSERT_EQ(Krux({"gateway", "stop"}).exit, 0);
  lib_ = gateway_->root() + "/lib";
  fs::create_directory(lib_);
  for (const char* name : {"krux-auditd", "krux-mountd", "krux-spawnd"})
    fs::create_symlink(programs_ + "/" + name, lib_ + "/" + name);
  fs::copy_file(programs_ + "/kruxd", lib_ + "/kruxd");
  tools::WriteFile(lib_ + "/stop-at", GetParam());
  for (const char* name : {"reached", "go"}) {
    ASSERT_EQ(mkfifo((lib_ + "/" + name).c_str(), 0666), 0);
    chmod((lib_ + "/" + name).c_str(), 0666);
  }
  chmod(lib_.c_str(), 0755);
  const UniqueFd reached(open((lib_ + "/reached").c_str(), O_RDWR | O_CLOEXEC));
  const pid_t client = fork();
  if (client == 0) {
    (void)Write();
    _exit(0);
  }
  pollfd fd{reached.get(), POLLIN, 0};
  ASSERT_EQ(poll(&fd, 1, 20'000), 1) << "the call never came to this point";
  fs::remove(lib_ + "/stop-at");
  KillEverything();
  waitpid(client, nullptr, 0);
  const Shown after = Show();
  EXPECT_EQ(after.session, before.session);
  EXPECT_GE(after.calls, before.calls);
  EXPECT_LE(after.wall_left, before.wall_left);
  for (const auto& [leg, record] : before.exposure) EXPECT_NE(after.exposure.Find(leg), nullptr);
  KillEverything();
  EXPECT_EQ(Show().digest, after.digest);
  ExpectVerified();
}

INSTANTIATE_TEST_SUITE_P(Points, SessionAt,
                         ::testing::Values("opened", "decide", "approve", "intent_durable",
                                           "collect", "outcome_sent", "replied"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace krux::kill_tests
