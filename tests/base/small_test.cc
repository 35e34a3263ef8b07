// The small pieces: descriptors, errors, pidfds, digests, configuration.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "base/clock.h"
#include "base/config.h"
#include "base/cutter.h"
#include "base/digest.h"
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

TEST(Cutter, LinesAndWordsOfTheKernelsFiles) {
  Cutter rows("36 35 98:0 /mnt1 /mnt2 rw - ext3 /dev/root rw\n\nlast");
  const auto first = rows.Until('\n');
  ASSERT_TRUE(first);
  Cutter words(*first);
  EXPECT_EQ(words.Word(), "36");
  EXPECT_TRUE(words.SkipPast("-"));
  EXPECT_EQ(words.Word(), "ext3");
  EXPECT_FALSE(words.SkipPast("-"));
  EXPECT_EQ(words.Word(), "");
  EXPECT_EQ(rows.Until('\n'), "");
  EXPECT_EQ(rows.Until('\n'), "last");
  EXPECT_FALSE(rows.Until('\n'));
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
