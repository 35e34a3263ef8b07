// The small pieces: descriptors, errors, pidfds, openat2, digests, configuration.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "base/clock.h"
#include "base/config.h"
#include "base/digest.h"
#include "base/openat2.h"
#include "base/pidfd.h"

namespace krux {
namespace {

TEST(UniqueFd, ClosesOnceAndMovesWhole) {
  UniqueFd a(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = a.get();
  UniqueFd b = std::move(a);
  EXPECT_FALSE(a.valid());  // NOLINT(bugprone-use-after-move): what is left is the point
  EXPECT_EQ(b.get(), number);
  b.reset();
  EXPECT_EQ(fcntl(number, F_GETFD), -1);
}

Result<int> Half(int n) {
  if (n % 2 != 0) return Fail(ExitCode::kBadData, "half", "odd");
  return n / 2;
}
Result<int> Quarter(int n) { return Half(KRUX_TRY(Half(n))); }

TEST(Result, TryReturnsTheFirstError) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).error().message, "odd");
  const Result<void> error = SysError(ExitCode::kAudit, "write log", ENOSPC, "free some space");
  EXPECT_EQ(error.error().message, "write log: No space left on device; free some space");
  EXPECT_EQ(error.error().sys_errno, ENOSPC);
}

TEST(Pidfd, SaysHowAChildEnded) {
  for (const bool killed : {false, true}) {
    const pid_t pid = fork();
    if (pid == 0) {
      if (killed) pause();
      _exit(42);
    }
    const Pidfd child = Pidfd::Open(pid).value();
    EXPECT_EQ(child.Pid().value(), pid);
    if (killed) {
      EXPECT_TRUE(child.Kill(SIGKILL));
    }
    const ExitReport report = child.Wait().value();
    EXPECT_EQ(report.signaled, killed);
    EXPECT_EQ(report.status, killed ? SIGKILL : 42);
    EXPECT_TRUE(child.Kill(SIGKILL)) << "a process that is gone is no error";
  }
}

class OpenBeneathTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/krux-beneath-XXXXXX";
    dir_ = mkdtemp(name);
    root_ = UniqueFd(open(dir_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    ASSERT_EQ(mkdir((dir_ + "/d").c_str(), 0755), 0);
    close(open((dir_ + "/d/f").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_EQ(symlink("d/f", (dir_ + "/inside").c_str()), 0);
    ASSERT_EQ(symlink("../../etc/passwd", (dir_ + "/out").c_str()), 0);
    ASSERT_EQ(symlink("/etc/passwd", (dir_ + "/absolute").c_str()), 0);
    ASSERT_EQ(symlink("/proc/self/cwd", (dir_ + "/magic").c_str()), 0);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string dir_;
  UniqueFd root_;
};

TEST_F(OpenBeneathTest, LinksThatStayAreFollowedAndLinksThatLeaveAreNot) {
  EXPECT_TRUE(OpenBeneath(root_.get(), "d/f", O_RDONLY));
  EXPECT_TRUE(OpenBeneath(root_.get(), "inside", O_RDONLY));
  for (const char* path :
       {"out", "absolute", "magic", "../etc/passwd", "/etc/passwd", "d/../../x"}) {
    EXPECT_FALSE(OpenBeneath(root_.get(), path, O_RDONLY)) << path;
  }
  EXPECT_FALSE(OpenBeneathNoLinks(root_.get(), "inside", O_RDONLY));
  EXPECT_TRUE(OpenBeneathNoLinks(root_.get(), "d/f", O_RDONLY));
}

// Regression: openat2 says EAGAIN for as long as somebody holds a lease, and used to be asked for
// ever.
TEST_F(OpenBeneathTest, ALeaseCannotHoldAnOpen) {
  const UniqueFd leased(open((dir_ + "/d/f").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(fcntl(leased.get(), F_SETLEASE, F_WRLCK), 0);
  signal(SIGIO, SIG_IGN);
  const int fd = OpenAt2(root_.get(), "d/f", O_RDONLY | O_NONBLOCK, RESOLVE_BENEATH);
  EXPECT_EQ(fd, -EAGAIN);
  fcntl(leased.get(), F_SETLEASE, F_UNLCK);
}

TEST(Digest, VectorsOfFips180) {
  EXPECT_EQ(ToHex(Sha256(std::string_view("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(ToHex(Sha256(std::string_view(""))),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256Stream stream;
  for (const char letter : {'a', 'b', 'c'}) {
    const auto byte = static_cast<uint8_t>(letter);
    stream.Update(std::span(&byte, 1));
  }
  EXPECT_EQ(stream.Finish(), Sha256(std::string_view("abc")));
}

TEST(Clock, MonotonicTimeDoesNotFallAndRandomBytesDiffer) {
  const uint64_t before = SystemClock().MonotonicNs();
  EXPECT_GE(SystemClock().MonotonicNs(), before);
  uint8_t a[16] = {}, b[16] = {};
  SystemRandom().Fill(a);
  SystemRandom().Fill(b);
  EXPECT_NE(std::vector<uint8_t>(a, a + 16), std::vector<uint8_t>(b, b + 16));
}

TEST(Config, ReadsWhatThereIs) {
  const Config config =
      ParseConfig(
          "ceiling = \"read_only\"\n[sandbox]\nallow_degraded = [\"cgroup\"]\nhost_uid = 77\n",
          "krux.toml")
          .value();
  EXPECT_EQ(config.ceiling, "read_only");
  EXPECT_EQ(config.allow_degraded, std::vector<std::string>{"cgroup"});
  EXPECT_EQ(config.host_uid, 77u);
  EXPECT_TRUE(LoadConfig("/nonexistent/krux.toml").value().allow_degraded.empty());
}

TEST(Config, MistakesHaveAPlace) {
  for (const auto& [text, where] : std::vector<std::pair<std::string, std::string>>{
           {"x = 1\n", "f:1:"},
           {"ceiling = 3\n", "f:1:"},
           {"\n[sandbox]\nhost_uid = 0\n", "f:3:"},
           {"[sandbox]\nhost_uid = -5\n", "f:2:"},
           {"[sandbox]\nhost_uid = 99999999999\n", "f:2:"},
           {"[sandbox]\nallow_degraded = \"cgroup\"\n", "f:2:"},
           {"[sandbox]\nallow_degraded = [1]\n", "f:2:"},
           {"[sandbox]\nallow = []\n", "f:2:"},
           {"ceiling = \"a\"\nceiling = \"b\"\n", "f:2:"},
           {"ceiling = \"a\n", "f:1:"},
           {"\xff\xfe\n", "f:1:"}}) {
    const Result<Config> config = ParseConfig(text, "f");
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().code, ExitCode::kConfig);
    EXPECT_EQ(config.error().message.rfind(where, 0), 0u) << config.error().message;
  }
}

}  // namespace
}  // namespace krux
