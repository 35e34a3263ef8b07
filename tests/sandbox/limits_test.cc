// Every limit of a call, run into: the call ends, the kernel's own events or the init stub say
// which limit it was, and nothing of it is left. Where the cgroup has no controllers the rlimits
// stand in; what the kernel's cgroup would say is owed by a host that has them.
#include <fcntl.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "tests/sandbox/hostile.h"

namespace krux::sandbox {
namespace {

using Clock = std::chrono::steady_clock;

class LimitsTest : public HostileTest {};
INSTANTIATE_TEST_SUITE_P(Modes, LimitsTest, testing::Bool(), [](const auto& row) {
  return row.param ? std::string("Rootless") : std::string("Root");
});

TEST_P(LimitsTest, AForkBombEndsWithItsTimeAndIsNamed) {
  Limits limits = Small();
  limits.wall_ms = 400;
  const auto start = Clock::now();
  const Ended ended = Run({"fork_bomb"}, limits);
  EXPECT_EQ(ended.end, Done::End::kTimeout);
  EXPECT_TRUE(ended.limit == Limit::kPids || ended.done.pids_refused)
      << "no process could be made when its time was up";
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
  EXPECT_TRUE(Gone());
}

TEST_P(LimitsTest, AProgramThatFailsForWantOfProcessesIsNamed) {
  const Ended ended = Run({"forks_until_refused"});
  EXPECT_EQ(ended.end, Done::End::kExited);
  EXPECT_EQ(ended.exit, 3) << ended.out;
  EXPECT_EQ(ended.out, "fork: EAGAIN\n");
  EXPECT_TRUE(ended.limit == Limit::kPids || ended.done.pids_refused);
  EXPECT_TRUE(Gone()) << "the children it left sleeping";
}

TEST_P(LimitsTest, AMemoryHogEndsAndIsNamed) {
  const Ended ended = Run({"hog"});
  if (whole()) {
    EXPECT_EQ(ended.end, Done::End::kOom);
  } else {
    EXPECT_EQ(ended.out, "mmap: ENOMEM\n");
    EXPECT_EQ(ended.limit, Limit::kMemory) << "it held nearly all of RLIMIT_AS and failed";
  }
  EXPECT_TRUE(Gone());
}

TEST_P(LimitsTest, ASpinnerEndsByItsWallClock) {
  Limits limits = Small();
  limits.wall_ms = 300;
  const Ended ended = Run({"spin"}, limits);
  EXPECT_EQ(ended.end, Done::End::kTimeout);
  EXPECT_EQ(ended.signal, SIGTERM) << "it does not ignore SIGTERM";
  EXPECT_EQ(ended.limit, Limit::kNone);
  EXPECT_TRUE(Gone());
}

TEST_P(LimitsTest, ASpinnerEndsByItsProcessorTime) {
  Limits limits = Small();
  limits.cpu_seconds = 1;
  const Ended ended = Run({"spin"}, limits);
  EXPECT_EQ(ended.end, Done::End::kExited);
  EXPECT_EQ(ended.limit, Limit::kCpu);
  EXPECT_EQ(ended.signal, SIGKILL);
  EXPECT_GE(ended.done.cpu_us, 500'000u);
  EXPECT_TRUE(Gone());
}

TEST_P(LimitsTest, AProgramThatFillsAStreamEndsAndWhatFitsIsKept) {
  for (const char* fd : {"1", "2"}) {
    const Ended ended = Run({"fill", fd});
    EXPECT_EQ(ended.end, Done::End::kExited) << fd;
    EXPECT_EQ(ended.limit, Limit::kOutput) << fd;
    EXPECT_TRUE(ended.truncated) << fd;
    EXPECT_EQ(ended.out.size(), fd[0] == '1' ? 3u << 18 : 1u << 18);
    EXPECT_EQ(ended.out.find_first_not_of('x'), std::string::npos);
  }
  EXPECT_TRUE(Gone());
}

TEST_P(LimitsTest, AWriterIsBoundPerFileAndCounted) {
  // What is on the disk is what was allowed; what was written stands in the outcome.
  const Ended most = Run({"write", "file", std::to_string(64 << 20)});
  EXPECT_EQ(most.exit, 0) << most.out;
  EXPECT_GE(most.done.written_bytes, 60ull << 20);
  const Ended over = Run({"write", "file", std::to_string(65 << 20)});
  EXPECT_EQ(over.signal, SIGXFSZ);
  EXPECT_EQ(over.limit, Limit::kFileSize);
  EXPECT_EQ(std::filesystem::file_size(InWork("file")), 64u << 20);
}

TEST_P(LimitsTest, AWriterInTmpMeetsItsSize) {
  Limits limits = Small();
  limits.file_bytes = 1ull << 30;
  const Ended ended = Run({"write", "/tmp/file", std::to_string(1 << 30)}, limits);
  EXPECT_EQ(ended.out, "write: ENOSPC\n");
  EXPECT_EQ(ended.limit, Limit::kTmpBytes);
}

TEST_P(LimitsTest, AMillionFilesInTmpMeetItsInodes) {
  const Ended ended = Run({"files", "/tmp", "1000000"});
  EXPECT_EQ(ended.out, "open: ENOSPC\n");
  EXPECT_EQ(ended.limit, Limit::kTmpFiles);
  EXPECT_LE(ended.done.work_files.value_or(0), 1000) << "none of them is in WORK";
}

// There is no quota in WORK: SECURITY.md says so. The outcome counts.
TEST_P(LimitsTest, FilesInWorkAreCounted) {
  std::filesystem::create_directory(InWork("many"));
  std::filesystem::permissions(InWork("many"), std::filesystem::perms(0777));
  struct statfs fs{};
  ASSERT_EQ(statfs(InWork("many").c_str(), &fs), 0);
  if (fs.f_files == 0) GTEST_SKIP() << "this file system does not count its inodes";
  const Ended ended = Run({"files", InWork("many"), "5000"});
  EXPECT_EQ(ended.exit, 0) << ended.out;
  ASSERT_TRUE(ended.done.work_files);
  EXPECT_GT(*ended.done.work_files, 2500) << "others use this file system too, meanwhile";
}

TEST_P(LimitsTest, ACallThatReachesNoLimitNamesNone) {
  const Ended ended = Run({"write", "file", "10"});
  EXPECT_EQ(ended.code, 0u) << ended.out;
  EXPECT_EQ(ended.limit, Limit::kNone);
  EXPECT_FALSE(ended.done.pids_refused);
  EXPECT_FALSE(ended.truncated);
}

}  // namespace
}  // namespace krux::sandbox
