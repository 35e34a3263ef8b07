// krux-auditd killed while it recovers, before every system call and after every few bytes written:
// the next start finds its way from there, and the one after that from wherever this one got to.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "audit/verify/reader.h"
#include "tests/audit/log_fixture.h"

namespace krux::audit {
namespace {

constexpr int kKilled = 9;

// A log that was cut off with two intents open and half a frame behind them.
void MakeWreck(const TestFolder& wreck) {
  const TestFolder before(TestFolder::kMemory);
  auto log = Log::Open(before.Options());
  ASSERT_TRUE(log) << log.error().message;
  const std::vector<Draft> drafts = {DenialDraft(1), IntentDraft(2), IntentDraft(3), IntentDraft(4),
                                     OutcomeDraft(3, 3)};
  for (const Draft& draft : drafts) {
    const Appended done = (*log)->Append({&draft, 1})[0];
    ASSERT_EQ(done.error, "");
  }
  before.CopyTo(wreck);
  std::vector<uint8_t> bytes = ReadBytes(wreck.SegmentPath(0));
  const std::vector<uint8_t> half(bytes.begin(), bytes.begin() + 100);
  bytes.insert(bytes.end(), half.begin(), half.end());
  WriteBytes(wreck.SegmentPath(0), bytes);
}

// Opens the log in a process that is gone before its `nth` system call. False when it came through.
bool OpenAndDie(const TestFolder& folder, int nth) {
  const pid_t child = fork();
  if (child == 0) {
    FaultyIo io;
    io.longest_write = 48;
    int calls = 0;
    io.fail = [&](const std::string&, int) {
      if (++calls == nth) _exit(kKilled);
      return 0;
    };
    _exit(Log::Open(folder.Options(&io)) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 1) << "it refused to open";
  return WEXITSTATUS(status) == kKilled;
}

// How many records close each intent.
std::map<uint64_t, int> Closings(const TestFolder& folder) {
  std::map<uint64_t, int> closings;
  verify::LogReader reader(folder.log_dir());
  for (verify::RecordView view; reader.Next(&view);) {
    if (view.kind == 1) closings.try_emplace(view.seq);
    if (view.kind != 2 && view.kind != 13) continue;
    const Result<cbor::Value> record = cbor::Decode(view.record);
    const cbor::Map& body = *record->map()->Find(7u)->map();
    const bool torn = view.kind == 13 && *body.Find(0u) == cbor::Value(1u);
    if (!torn) ++closings[*body.Find(1u)->uint()];
  }
  return closings;
}

void ExpectRecovered(const TestFolder& folder) {
  {
    auto log = Log::Open(folder.Options());
    ASSERT_TRUE(log) << log.error().message;
    ASSERT_EQ((*log)->open_intents(), 0u);
    ASSERT_TRUE((*log)->Checkpoint());
  }
  const verify::Report report = folder.Verify();
  ASSERT_EQ(report.exit, verify::kOk) << Describe(report);
  const std::map<uint64_t, int> once = {{2, 1}, {3, 1}, {4, 1}};
  ASSERT_EQ(Closings(folder), once);
}

TEST(RecoveryKilled, BeforeEverySystemCallAndInTheMiddleOfEveryRecord) {
  const TestFolder wreck(TestFolder::kMemory);
  MakeWreck(wreck);
  int points = 0;
  for (bool killed = true; killed; ++points) {
    SCOPED_TRACE("killed at call " + std::to_string(points + 1));
    const TestFolder folder(TestFolder::kMemory);
    wreck.CopyTo(folder);
    killed = OpenAndDie(folder, points + 1);
    ExpectRecovered(folder);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(points, 20);
}

// The second start is killed as well, and the third: each somewhere else.
TEST(RecoveryKilled, AgainAndAgain) {
  const TestFolder wreck(TestFolder::kMemory);
  MakeWreck(wreck);
  for (int first = 1; first < 40; first += 4) {
    for (int second = 1; second < 40; second += 3) {
      SCOPED_TRACE("killed at calls " + std::to_string(first) + " and " + std::to_string(second));
      const TestFolder folder(TestFolder::kMemory);
      wreck.CopyTo(folder);
      OpenAndDie(folder, first);
      OpenAndDie(folder, second);
      OpenAndDie(folder, first + 1);
      ExpectRecovered(folder);
      if (HasFatalFailure()) return;
    }
  }
}

// The disk fails, and the writer is killed while it begins the segment that says so.
TEST(RecoveryKilled, WhileAFailedSegmentIsReplaced) {
  int points = 0;
  for (bool killed = true; killed; ++points) {
    SCOPED_TRACE("killed at call " + std::to_string(points + 1) + " after the failure");
    const TestFolder folder(TestFolder::kMemory);
    const pid_t child = fork();
    if (child == 0) {
      FaultyIo io;
      io.longest_write = 48;
      bool armed = false;
      int since = -1;
      io.fail = [&](const std::string& call, int) {
        if (since >= 0 && since++ == points) _exit(kKilled);
        if (!armed || call != "fdatasync" || since >= 0) return 0;
        since = 0;
        return -EIO;
      };
      auto log = Log::Open(folder.Options(&io));
      for (uint8_t call = 2; log && call < 5; ++call) {
        armed = call == 4;
        const Draft draft = IntentDraft(call);
        (*log)->Append({&draft, 1});
      }
      _exit(log ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    killed = WIFEXITED(status) && WEXITSTATUS(status) == kKilled;
    {
      auto log = Log::Open(folder.Options());
      ASSERT_TRUE(log) << log.error().message;
      ASSERT_EQ((*log)->open_intents(), 0u);
      ASSERT_TRUE((*log)->Checkpoint());
    }
    const verify::Report report = folder.Verify();
    ASSERT_EQ(report.exit, verify::kOk) << Describe(report);
    for (const auto& [intent, closings] : Closings(folder)) ASSERT_EQ(closings, 1) << intent;
  }
  EXPECT_GT(points, 10);
}

}  // namespace
}  // namespace krux::audit
