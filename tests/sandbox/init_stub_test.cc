// The init stub: pid 1 of a call that runs a program. It reaps, it listens to krux-spawnd and to
// nobody inside, it reports how the program ended, and with it everything goes.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "tests/sandbox/hostile.h"

namespace krux::sandbox {
namespace {

using Clock = std::chrono::steady_clock;

class InitStubTest : public HostileTest {
 protected:
  static Limits Quick() {
    Limits limits = Small();
    limits.wall_ms = 300;
    return limits;
  }
};
INSTANTIATE_TEST_SUITE_P(Modes, InitStubTest, testing::Bool(), [](const auto& row) {
  return row.param ? std::string("Rootless") : std::string("Root");
});

TEST_P(InitStubTest, AtItsDeadlineAProgramIsToldAndMayFinish) {
  const Ended ended = Run({"bye"}, Quick());
  EXPECT_EQ(ended.end, Done::End::kTimeout);
  EXPECT_EQ(ended.out, "so far\nbye\n");
  EXPECT_EQ(ended.exit, 7);
  EXPECT_TRUE(ended.truncated);
}

TEST_P(InitStubTest, AProgramThatIgnoresSigtermIsKilledAndItsOutputKept) {
  const auto start = Clock::now();
  const Ended ended = Run({"ignore_term"}, Quick());
  EXPECT_EQ(ended.end, Done::End::kTimeout);
  EXPECT_EQ(ended.out, "so far\n");
  EXPECT_EQ(ended.signal, SIGKILL);
  EXPECT_GE(Clock::now() - start, std::chrono::milliseconds(1300)) << "its second was up";
  EXPECT_TRUE(Gone());
}

TEST_P(InitStubTest, AStubThatDoesNotAnswerIsKilledToo) {
  pid_t worker = 0;
  Begin({"ignore_term"}, Quick(), &worker);
  ASSERT_EQ(kill(worker, SIGSTOP), 0);
  const Ended ended = End();
  EXPECT_EQ(ended.end, Done::End::kTimeout);
  EXPECT_FALSE(ended.answered);
  EXPECT_TRUE(Gone());
}

TEST_P(InitStubTest, WithTheStubGoesEverything) {
  pid_t worker = 0;
  Begin({"fork_bomb"}, Small(), &worker);
  for (int i = 0; i < 2000 && Gone(); ++i) usleep(5000);
  ASSERT_FALSE(Gone()) << "it does not run";
  ASSERT_EQ(kill(worker, SIGKILL), 0);
  const Ended ended = End();
  EXPECT_EQ(ended.end, Done::End::kSignaled);
  EXPECT_EQ(ended.done.status, SIGKILL);
  EXPECT_TRUE(Gone());
}

TEST_P(InitStubTest, ADaemonEndsWithTheProgramThatLeftIt) {
  const Ended ended = Run({"daemonise", InWork("alive")});
  EXPECT_EQ(ended.code, 0u);
  EXPECT_EQ(ended.exit, 0);
  EXPECT_TRUE(Gone());
  const auto size = std::filesystem::file_size(InWork("alive"));
  EXPECT_GT(size, 0u) << "it had lived";
  usleep(30'000);  // six of its heartbeats
  EXPECT_EQ(std::filesystem::file_size(InWork("alive")), size);
}

TEST_P(InitStubTest, AStoppedChildDoesNotHoldTheCall) {
  const Ended ended = Run({"stop_child"}, Quick());
  EXPECT_EQ(ended.end, Done::End::kTimeout);
  EXPECT_EQ(ended.out, "child stopped\n");
  EXPECT_TRUE(Gone());
}

TEST_P(InitStubTest, AStoppedProgramEndsWithItsTime) {
  const Ended ended = Run({"stop_self"}, Quick());
  EXPECT_EQ(ended.end, Done::End::kTimeout);
  EXPECT_EQ(ended.out, "stopping\n");
  EXPECT_EQ(ended.signal, SIGKILL) << "a stopped process does not see SIGTERM";
  EXPECT_TRUE(Gone());
}

TEST_P(InitStubTest, NothingInsideCanEndOrFoolIt) {
  const Ended ended = Run({"kill_init"});
  EXPECT_EQ(ended.end, Done::End::kExited);
  EXPECT_EQ(ended.out, "alive\n");
  EXPECT_EQ(ended.exit, 0);
  EXPECT_FALSE(ended.truncated) << "it did not believe that its time was up";
}

TEST_P(InitStubTest, AProgramMayKillItsOwn) {
  const Ended ended = Run({"kill_all"});
  EXPECT_EQ(ended.out, "killed 5\n");
  EXPECT_EQ(ended.exit, 0);
}

TEST_P(InitStubTest, TenThousandOrphansAreReaped) {
  Limits limits = Small();
  limits.wall_ms = 18'000;
  const Ended ended = Run({"orphans", "10000"}, limits);
  EXPECT_EQ(ended.out, "pid 2, zombies 0\n");
  EXPECT_EQ(ended.exit, 0);
}

TEST_P(InitStubTest, AbortAndFaultAreReportedAsSignals) {
  const Ended aborted = Run({"abort"});
  EXPECT_EQ(aborted.signal, SIGABRT);
  EXPECT_EQ(aborted.out, "so far\n");
  EXPECT_EQ(aborted.code, 1u);
  EXPECT_EQ(Run({"fault"}).signal, SIGSEGV);
  EXPECT_EQ(Run({"become_another", InWork("hostile")}).signal, SIGABRT) << "after an exec as well";
}

TEST_P(InitStubTest, AProgramThatClosesItsStreamsGoesOn) {
  const Ended ended = Run({"close_and_go_on", "after"});
  EXPECT_EQ(ended.exit, 5);
  EXPECT_TRUE(std::filesystem::exists(InWork("after")));
}

}  // namespace
}  // namespace krux::sandbox
