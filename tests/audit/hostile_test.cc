// Files that somebody made on purpose, and a writer that dies at every step it takes.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "audit/segment.h"
#include "audit/verify/frame.h"
#include "audit/verify/reader.h"
#include "tests/audit/log_fixture.h"

namespace krux::audit {
namespace {

std::string AppendOne(Log& log, Draft draft) { return log.Append({&draft, 1})[0].error; }

// An agent sends, as an argument, the bytes of a whole frame; the machine loses power while the
// record is written, behind that argument. It is a torn write like any other.
TEST(Hostile, AFrameInsideATornRecordIsNotARecord) {
  for (const bool rotten : {false, true}) {
    SCOPED_TRACE(rotten ? "whole but for one byte" : "cut");
    const TestFolder folder;
    {
      auto log = Log::Open(folder.Options());
      ASSERT_TRUE(log) << log.error().message;
      ASSERT_EQ(AppendOne(**log, DenialDraft(1)), "");
    }
    const std::vector<uint8_t> before = ReadBytes(folder.SegmentPath(0));
    {
      // The record behind the last signed one carries the frames of the records before it.
      auto log = Log::Open(folder.Options());
      ASSERT_TRUE(log) << log.error().message;
      Intent intent;
      intent.call_id = Id(2);
      intent.session = Id(3);
      intent.args = cbor::Map{{"data", cbor::Bytes(before.begin(), before.end())},
                              {"more", std::string(100, 'x')}};
      intent.policy_hash = cbor::Bytes(32, 1);
      ASSERT_EQ(AppendOne(**log, ToDraft(intent)), "");
      // Dies here: no checkpoint covers it.
    }
    std::vector<uint8_t> after = ReadBytes(folder.SegmentPath(0));
    ASSERT_GT(after.size(), 2 * before.size());
    if (rotten) {
      after[after.size() - 10] ^= 1;
    } else {
      after.resize(after.size() - 10);
    }
    WriteBytes(folder.SegmentPath(0), after);
    EXPECT_EQ(folder.Verify().exit, verify::kIncomplete) << Describe(folder.Verify());
    auto log = Log::Open(folder.Options());
    ASSERT_TRUE(log) << log.error().message;
    EXPECT_EQ(folder.Verify().exit, verify::kOk) << Describe(folder.Verify());
  }
}

// Every twelfth byte begins a frame of 60 KiB with a wrong checksum.
std::vector<uint8_t> FalseFrames(size_t size) {
  constexpr uint8_t kHead[12] = {0x83, 0x1a, 0, 0, 0, 0, 0x5a, 0, 0, 0xf0, 0x00, 0xf6};
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = kHead[i % 12];
  return bytes;
}

double SecondsToSearch(size_t size) {
  const std::vector<uint8_t> bytes = FalseFrames(size);
  const auto begin = std::chrono::steady_clock::now();
  verify::FrameFinder finder(bytes);
  EXPECT_EQ(finder.Find(1), bytes.size());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

TEST(Hostile, ASearchTakesTimeThatGrowsWithTheBytes) {
  const double small = SecondsToSearch(1 << 20);
  const double large = SecondsToSearch(16 << 20);
  EXPECT_LT(large, 64 * small) << small << " s for 1 MiB, " << large << " s for 16 MiB";
}

TEST(Hostile, AFullSegmentOfFalseFramesIsJudgedAndOpenedInBoundedTime) {
  const TestFolder folder(TestFolder::kMemory);
  {
    auto log = Log::Open(folder.Options());
    ASSERT_TRUE(log) << log.error().message;
    ASSERT_EQ(AppendOne(**log, DenialDraft(1)), "");
    ASSERT_TRUE((*log)->Checkpoint());
  }
  std::vector<uint8_t> bytes = ReadBytes(folder.SegmentPath(0));
  const std::vector<uint8_t> hostile = FalseFrames((64 << 20) - bytes.size());
  bytes.push_back(0);  // so that the first of them does not even begin a frame
  bytes.insert(bytes.end(), hostile.begin(), hostile.end());
  WriteBytes(folder.SegmentPath(0), bytes);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(folder.Verify().exit, verify::kIncomplete);
  const auto log = Log::Open(folder.Options());
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message.find("looks like frames"), std::string::npos)
      << log.error().message;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  RecordProperty("seconds", std::to_string(took.count()));
  EXPECT_LT(took.count(), 120);
}

TEST(Hostile, TheSearchFindsWhatTheParserCallsGood) {
  const TestFolder folder(TestFolder::kMemory);
  auto log = Log::Open(folder.Options());
  ASSERT_TRUE(log) << log.error().message;
  for (uint8_t i = 0; i < 20; ++i) ASSERT_EQ(AppendOne(**log, IntentDraft(i)), "");
  std::vector<uint8_t> bytes = FalseFrames(100);
  const std::vector<uint8_t> segment = ReadBytes(folder.SegmentPath(0));
  bytes.insert(bytes.end(), segment.begin(), segment.end());
  verify::FrameFinder finder(bytes);
  size_t found = 0;
  for (size_t at = finder.Find(0); at < bytes.size(); at = finder.Find(at + 1)) {
    ++found;
    EXPECT_EQ(verify::ParseFrame(verify::ByteView(bytes).subspan(at)).state, verify::Frame::kGood);
  }
  EXPECT_EQ(found, 21u);
}

// An Io that ends the process at its n-th call, once in the middle of it where it is a write.
class Mortal : public Io {
 public:
  explicit Mortal(int dies_at) : left_(dies_at) {}
  int OpenAt(int d, const char* n, int f, mode_t m) override {
    return Step(), Io::OpenAt(d, n, f, m);
  }
  ssize_t Writev(int fd, const iovec* parts, int count) override {
    if (left_ == 1) {
      const iovec half{parts[0].iov_base, parts[0].iov_len / 2};
      (void)Io::Writev(fd, &half, 1);
    }
    Step();
    return Io::Writev(fd, parts, count);
  }
  int Fdatasync(int fd) override { return Step(), Io::Fdatasync(fd); }
  int Fsync(int fd) override { return Step(), Io::Fsync(fd); }
  int Reserve(int fd, uint64_t size) override { return Step(), Io::Reserve(fd, size); }
  int Truncate(int fd, uint64_t size) override { return Step(), Io::Truncate(fd, size); }
  int Rename(int d, const char* a, const char* b) override { return Step(), Io::Rename(d, a, b); }
  int Unlink(int d, const char* n) override { return Step(), Io::Unlink(d, n); }

 private:
  void Step() {
    if (left_-- == 1) kill(getpid(), SIGKILL);
  }
  int left_;
};

// 50 records over several segments, some of them open calls; tells every acknowledged seq on
// `told`. False where the log could not be opened.
bool Work(const TestFolder& folder, Io* io, int told) {
  LogOptions options = folder.Options(io);
  options.segment_bytes = 256 * 1024;
  options.checkpoint_every = 7;
  auto log = Log::Open(options);
  if (!log) return false;
  uint64_t open = 0;
  for (uint8_t i = 0; i < 50; ++i) {
    Draft draft = i % 3 == 0   ? IntentDraft(i, std::string(20'000, 'p'))
                  : i % 3 == 1 ? OutcomeDraft(static_cast<uint8_t>(i - 1), open)
                               : DenialDraft(i);
    const Appended done = (*log)->Append({&draft, 1})[0];
    if (!done.error.empty()) return false;
    if (draft.kind == Kind::kIntent) open = done.seq;
    (void)!write(told, &done.seq, sizeof done.seq);
  }
  return true;
}

TEST(Crash, AtEveryStepNothingThatWasAcknowledgedIsLost) {
  int steps = 0;
  for (bool ended = false; !ended; ++steps) {
    ASSERT_LT(steps, 2000);
    SCOPED_TRACE("killed at step " + std::to_string(steps + 1));
    const TestFolder folder(TestFolder::kMemory);
    int told[2];
    ASSERT_EQ(pipe(told), 0);
    const pid_t child = fork();
    if (child == 0) {
      Mortal io(steps + 1);
      _exit(Work(folder, &io, told[1]) ? 0 : 1);
    }
    close(told[1]);
    std::vector<uint64_t> acknowledged;
    for (uint64_t seq; read(told[0], &seq, sizeof seq) == sizeof seq;) acknowledged.push_back(seq);
    close(told[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ended = WIFEXITED(status);
    if (ended) {
      ASSERT_EQ(WEXITSTATUS(status), 0);
    }
    auto log = Log::Open(folder.Options());
    // A crash in the first milliseconds of a log leaves a folder that a person may have to move:
    // nothing was acknowledged then.
    if (!log && acknowledged.empty()) {
      ADD_FAILURE() << "does not open: " << log.error().message;
      continue;
    }
    ASSERT_TRUE(log) << log.error().message;
    ASSERT_EQ((*log)->open_intents(), 0u) << "recovered";
    const verify::Report report = folder.Verify();
    ASSERT_EQ(report.exit, verify::kOk) << Describe(report);
    verify::LogReader reader(folder.log_dir());
    verify::RecordView record;
    for (const uint64_t seq : acknowledged) ASSERT_TRUE(reader.Find(seq, &record)) << seq;
  }
  EXPECT_GT(steps, 150);
}

}  // namespace
}  // namespace krux::audit
