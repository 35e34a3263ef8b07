// The log when the disk fails: nothing that was acknowledged is lost, nothing that was not is
// claimed, and a descriptor whose sync failed is never synced again.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "audit/verify/reader.h"
#include "tests/audit/log_fixture.h"

namespace krux::audit {
namespace {

std::string AppendOne(Log& log, Draft draft) { return log.Append({&draft, 1})[0].error; }

void ExpectVerifies(const TestFolder& folder) {
  const verify::Report report = folder.Verify();
  EXPECT_EQ(report.exit, verify::kOk) << Describe(report);
}

std::vector<uint64_t> Kinds(const TestFolder& folder) {
  verify::LogReader reader(folder.log_dir());
  std::vector<uint64_t> kinds;
  for (verify::RecordView record; reader.Next(&record);) kinds.push_back(record.kind);
  return kinds;
}

class Fault : public ::testing::Test {
 protected:
  void SetUp() override {
    auto log = Log::Open(folder_.Options(&io_));
    ASSERT_TRUE(log) << log.error().message;
    log_ = std::move(*log);
    ASSERT_EQ(AppendOne(*log_, DenialDraft(1)), "");
    io_.calls.clear();
    io_.synced_fds.clear();
  }
  // Fails the first `times` calls of `call` from now on.
  void FailNext(const std::string& call, int error, int times = 1) {
    io_.calls.clear();
    io_.fail = [=](const std::string& name, int n) {
      return name == call && n <= times ? -error : 0;
    };
  }
  void ExpectGoodAfterRestart() {
    io_.fail = nullptr;
    if (log_) {
      ASSERT_TRUE(log_->Checkpoint());
    }
    log_.reset();
    ExpectVerifies(folder_);
    auto log = Log::Open(folder_.Options());
    ASSERT_TRUE(log) << log.error().message;
    EXPECT_EQ(AppendOne(**log, DenialDraft(9)), "");
    ASSERT_TRUE((*log)->Checkpoint());
    ExpectVerifies(folder_);
  }

  TestFolder folder_;
  FaultyIo io_;
  std::unique_ptr<Log> log_;
};

TEST_F(Fault, InterruptedWritesGoOn) {
  FailNext("writev", EINTR, 3);
  EXPECT_EQ(AppendOne(*log_, DenialDraft(2)), "");
  EXPECT_EQ(folder_.Names("seg-").size(), 1u);
  ExpectGoodAfterRestart();
}

TEST_F(Fault, ShortWritesGoOn) {
  for (const size_t size : {1u, 7u, 100u}) {
    io_.longest_write = size;
    EXPECT_EQ(AppendOne(*log_, DenialDraft(2)), "");
  }
  io_.longest_write = SIZE_MAX;
  EXPECT_EQ(Kinds(folder_), (std::vector<uint64_t>{0, 3, 3, 3, 3}));
  ExpectGoodAfterRestart();
}

TEST_F(Fault, AFailedSyncIsNeverRetriedAndAGapIsRecorded) {
  FailNext("fdatasync", EIO);
  EXPECT_EQ(AppendOne(*log_, DenialDraft(2)), "") << "the new segment took it";
  ASSERT_GE(io_.synced_fds.size(), 2u);
  const int failed = io_.synced_fds[0];
  EXPECT_EQ(std::ranges::count(io_.synced_fds, failed), 1)
      << "the failed descriptor was synced again";
  // segment, denial; then segment, gap, denial.
  EXPECT_EQ(Kinds(folder_), (std::vector<uint64_t>{0, 3, 0, 12, 3}));
  EXPECT_EQ(folder_.Names("seg-").size(), 2u);
  ExpectGoodAfterRestart();
}

TEST_F(Fault, TheGapNamesWhatFailed) {
  FailNext("fdatasync", EIO);
  ASSERT_EQ(AppendOne(*log_, DenialDraft(2)), "");
  verify::LogReader reader(folder_.log_dir());
  verify::RecordView record;
  ASSERT_TRUE(reader.Find(3, &record)) << reader.error();
  const auto value = cbor::Decode(record.record);
  const cbor::Map& body = *value->map()->Find(7u)->map();
  EXPECT_EQ(*body.Find(0u), cbor::Value("fdatasync"));
  EXPECT_EQ(*body.Find(1u), cbor::Value(EIO));
  EXPECT_EQ(*body.Find(2u), cbor::Value(0u));
}

TEST_F(Fault, WritesThatFailHalfwayLeaveAGap) {
  io_.longest_write = 50;
  io_.calls.clear();
  io_.fail = [](const std::string& name, int n) { return name == "writev" && n == 2 ? -EIO : 0; };
  EXPECT_EQ(AppendOne(*log_, DenialDraft(2)), "");
  io_.longest_write = SIZE_MAX;
  EXPECT_EQ(Kinds(folder_), (std::vector<uint64_t>{0, 3, 0, 12, 3}));
  ExpectGoodAfterRestart();
}

TEST_F(Fault, ADiskThatOnlyFailsKeepsTheLogClosedUntilItWorks) {
  FailNext("fdatasync", EIO, 1000);
  for (int i = 0; i < 5; ++i) {
    EXPECT_NE(AppendOne(*log_, DenialDraft(2)).find("cannot be written"), std::string::npos);
  }
  EXPECT_EQ(Kinds(folder_)[0], 0u);
  EXPECT_EQ(log_->size(), 2u) << "nothing was claimed";
  io_.fail = nullptr;
  EXPECT_EQ(AppendOne(*log_, DenialDraft(3)), "");
  ExpectGoodAfterRestart();
}

TEST_F(Fault, AFullDiskRefusesAndThenGoesOnByItself) {
  FailNext("writev", ENOSPC, 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(AppendOne(*log_, DenialDraft(2)).find("No space left"), std::string::npos);
  }
  EXPECT_EQ(AppendOne(*log_, DenialDraft(2)), "");
  EXPECT_EQ(folder_.Names("seg-").size(), 1u) << "nothing was written, so nothing is torn";
  ExpectGoodAfterRestart();
}

TEST_F(Fault, AFullDiskInTheMiddleOfARecord) {
  io_.longest_write = 50;
  io_.calls.clear();
  // The second piece of the record does not fit, and neither does a new segment.
  bool full = true;
  io_.fail = [&](const std::string& name, int n) {
    if (!full) return 0;
    return (name == "writev" && n == 2) || name == "create" || name == "reserve" ? -ENOSPC : 0;
  };
  EXPECT_NE(AppendOne(*log_, DenialDraft(2)), "");
  EXPECT_NE(AppendOne(*log_, DenialDraft(2)), "");
  full = false;
  io_.longest_write = SIZE_MAX;
  EXPECT_EQ(AppendOne(*log_, DenialDraft(3)), "");
  EXPECT_EQ(Kinds(folder_), (std::vector<uint64_t>{0, 3, 0, 12, 3}));
  ExpectGoodAfterRestart();
}

TEST_F(Fault, ACrashWhileTheDiskWasFullMidRecord) {
  io_.longest_write = 50;
  io_.calls.clear();
  io_.fail = [](const std::string& name, int n) {
    return (name == "writev" && n >= 2) || name == "create" ? -ENOSPC : 0;
  };
  EXPECT_NE(AppendOne(*log_, DenialDraft(2)), "");
  log_.reset();
  auto log = Log::Open(folder_.Options());
  ASSERT_TRUE(log) << log.error().message;
  ASSERT_TRUE((*log)->Checkpoint());
  EXPECT_EQ(Kinds(folder_), (std::vector<uint64_t>{0, 3, 0, 13}));
  ExpectVerifies(folder_);
}

TEST_F(Fault, ANewSegmentThatCannotBeMadeRefusesOnlyWhatNeedsIt) {
  log_.reset();
  LogOptions options = folder_.Options(&io_);
  options.segment_bytes = 256 * 1024;
  auto log = Log::Open(options);
  ASSERT_TRUE(log) << log.error().message;
  Draft intent = IntentDraft(7);
  const Appended opened = (*log)->Append({&intent, 1})[0];
  ASSERT_EQ(opened.error, "");
  io_.fail = [](const std::string& name, int) { return name == "create" ? -ENOSPC : 0; };
  std::string refusal;
  for (int i = 0; i < 2000 && refusal.empty(); ++i) {
    refusal = AppendOne(**log, DenialDraft(static_cast<uint8_t>(i)));
  }
  EXPECT_NE(refusal, "") << "the segment never filled";
  EXPECT_EQ(AppendOne(**log, OutcomeDraft(7, opened.seq)), "") << "its room was reserved";
  io_.fail = nullptr;
  EXPECT_EQ(AppendOne(**log, DenialDraft(8)), "");
  ASSERT_TRUE((*log)->Checkpoint());
  ExpectVerifies(folder_);
}

// A log with a signed denial (record 1), its file clear of the append-only flag.
class Touched : public ::testing::Test {
 protected:
  void SetUp() override {
    auto log = Log::Open(folder_.Options());
    ASSERT_TRUE(log) << log.error().message;
    log_ = std::move(*log);
    ASSERT_EQ(AppendOne(*log_, DenialDraft(1)), "");
    path_ = folder_.SegmentPath(0);
    content_ = ReadBytes(path_);
    WriteBytes(path_, content_);
  }
  // Nothing is lost, so the log goes on: the next record is durable behind a gap that says why.
  void ExpectGoesOn() {
    EXPECT_EQ(AppendOne(*log_, DenialDraft(2)), "");
    ASSERT_TRUE(log_->Checkpoint());
    ExpectVerifies(folder_);
    EXPECT_EQ(Kinds(folder_), (std::vector<uint64_t>{0, 3, 0, 12, 3}));
    log_.reset();
    auto again = Log::Open(folder_.Options());
    EXPECT_TRUE(again) << again.error().message;
  }
  void ExpectCloses() {
    EXPECT_NE(AppendOne(*log_, DenialDraft(2)).find("records are lost"), std::string::npos);
    EXPECT_NE(AppendOne(*log_, DenialDraft(2)).find("closed"), std::string::npos);
    EXPECT_FALSE(log_->Checkpoint());
    // What was acknowledged was signed, so that the loss shows whatever happens next.
    const verify::Report report = folder_.Verify();
    EXPECT_EQ(report.exit, verify::kTampered) << Describe(report);
    EXPECT_EQ(report.signed_size, 2u);
    log_.reset();
    EXPECT_FALSE(Log::Open(folder_.Options()));
  }
  TestFolder folder_;
  std::unique_ptr<Log> log_;
  std::string path_;
  std::vector<uint8_t> content_;
};

TEST_F(Touched, ARemovedSegmentIsPutBackAndTheLogGoesOn) {
  ASSERT_EQ(unlink(path_.c_str()), 0);
  ExpectGoesOn();
  EXPECT_EQ(ReadBytes(path_), content_);
}

TEST_F(Touched, AReplacedSegmentIsPutBackAndTheOtherFileIsKept) {
  WriteBytes(path_ + ".new", {'f', 'o', 'r', 'g', 'e', 'd'});
  ASSERT_EQ(rename((path_ + ".new").c_str(), path_.c_str()), 0);
  ExpectGoesOn();
  EXPECT_EQ(ReadBytes(path_), content_);
  const auto kept = folder_.Names("foreign-");
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(ReadBytes(folder_.log_folder() + "/" + kept[0]).size(), 6u);
}

TEST_F(Touched, BytesThatSomebodyAppendedAreDeclared) {
  std::vector<uint8_t> longer = content_;
  longer.insert(longer.end(), content_.begin(), content_.end());  // whole frames, and still foreign
  WriteBytes(path_, longer);
  ExpectGoesOn();
}

TEST_F(Touched, ASecondNameIsNoticed) {
  ASSERT_EQ(link(path_.c_str(), (folder_.path() + "/second").c_str()), 0);
  ExpectGoesOn();
}

TEST_F(Touched, ACutSegmentClosesTheLogAndTheLossIsProved) {
  content_.pop_back();
  WriteBytes(path_, content_);
  ExpectCloses();
}

TEST_F(Touched, AnEmptiedSegmentClosesTheLogAndTheLossIsProved) {
  WriteBytes(path_, {});
  ExpectCloses();
}

TEST_F(Touched, ASegmentThatWasChangedBeforeItWasReplacedClosesTheLog) {
  content_[content_.size() / 2] ^= 1;
  WriteBytes(path_, content_);
  ASSERT_EQ(unlink(path_.c_str()), 0);
  EXPECT_NE(AppendOne(*log_, DenialDraft(2)).find("records are lost"), std::string::npos);
  EXPECT_EQ(folder_.Verify().exit, verify::kTampered);
}

TEST_F(Touched, AFolderThatWasMovedAwayIsRefusedUntilItIsBack) {
  const std::string folder = folder_.log_folder();
  ASSERT_EQ(rename(folder.c_str(), (folder_.path() + "/elsewhere").c_str()), 0);
  EXPECT_NE(AppendOne(*log_, DenialDraft(2)).find("moved away; bring it back"), std::string::npos);
  EXPECT_FALSE(log_->Checkpoint());
  EXPECT_EQ(folder_.Verify().exit, verify::kCannot);
  ASSERT_EQ(rename((folder_.path() + "/elsewhere").c_str(), folder.c_str()), 0);
  EXPECT_EQ(AppendOne(*log_, DenialDraft(2)), "");
  ASSERT_TRUE(log_->Checkpoint());
  ExpectVerifies(folder_);
}

TEST_F(Touched, RemovedCheckpointsArePutBackAndTheLogSaysSo) {
  ASSERT_TRUE(log_->Checkpoint());
  const std::string path = folder_.log_folder() + "/checkpoints";
  const std::vector<uint8_t> signatures = ReadBytes(path);
  ASSERT_EQ(unlink(path.c_str()), 0);
  EXPECT_EQ(folder_.Verify().exit, verify::kCannot);
  EXPECT_EQ(AppendOne(*log_, DenialDraft(2)), "");
  EXPECT_EQ(ReadBytes(path), signatures);
  EXPECT_EQ(Kinds(folder_), (std::vector<uint64_t>{0, 3, 10, 3})) << "an admin record says it";
  ASSERT_TRUE(log_->Checkpoint());
  ExpectVerifies(folder_);
}

TEST_F(Touched, CutOrForeignCheckpointsCloseTheLog) {
  ASSERT_TRUE(log_->Checkpoint());
  const std::string path = folder_.log_folder() + "/checkpoints";
  std::vector<uint8_t> bytes = ReadBytes(path);
  bytes.resize(bytes.size() - 128);
  WriteBytes(path, bytes);
  EXPECT_NE(AppendOne(*log_, DenialDraft(2)).find("was cut by somebody else"), std::string::npos);
  EXPECT_EQ(folder_.Verify().exit, verify::kIncomplete);
  // No record is lost: a restart signs them again.
  log_.reset();
  auto log = Log::Open(folder_.Options());
  ASSERT_TRUE(log) << log.error().message;
  ExpectVerifies(folder_);
  bytes = ReadBytes(path);
  bytes.push_back(0);
  WriteBytes(path, bytes);
  EXPECT_NE(AppendOne(**log, DenialDraft(2)).find("appended to"), std::string::npos);
}

TEST_F(Touched, ALogWhoseCheckpointsAreGoneDoesNotStart) {
  log_.reset();
  std::filesystem::remove(folder_.log_folder() + "/checkpoints");
  auto log = Log::Open(folder_.Options());
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message.find("`checkpoints` is missing"), std::string::npos)
      << log.error().message;
  EXPECT_EQ(folder_.Verify().exit, verify::kCannot);
}

TEST_F(Fault, ACheckpointThatCannotBeSyncedIsWrittenAgainThroughANewDescriptor) {
  FailNext("fdatasync", EIO);
  EXPECT_TRUE(log_->Checkpoint());
  ASSERT_EQ(io_.synced_fds.size(), 2u);
  const int failed = io_.synced_fds.front();
  EXPECT_EQ(AppendOne(*log_, DenialDraft(2)), "");
  EXPECT_EQ(std::ranges::count(io_.synced_fds, failed), 1);
  ExpectGoodAfterRestart();
}

TEST_F(Fault, NothingIsAcknowledgedWhileCheckpointsCannotBeOpenedAgain) {
  int opened = 0;
  io_.fail = [&](const std::string& name, int) {
    if (name == "open") return ++opened <= 3 ? -EIO : 0;
    return name == "fdatasync" && opened == 0 ? -EIO : 0;
  };
  EXPECT_FALSE(log_->Checkpoint());
  EXPECT_NE(AppendOne(*log_, DenialDraft(2)).find("cannot be signed"), std::string::npos);
  EXPECT_FALSE(log_->Checkpoint());
  EXPECT_EQ(AppendOne(*log_, DenialDraft(2)), "");
  ExpectGoodAfterRestart();
}

TEST_F(Fault, AReadOnlyDiskRefusesAndThenGoesOnInTheSameSegment) {
  bool read_only = true;
  io_.fail = [&](const std::string&, int) { return read_only ? -EROFS : 0; };
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(AppendOne(*log_, DenialDraft(2)).find("Read-only"), std::string::npos);
    EXPECT_FALSE(log_->Checkpoint());
  }
  read_only = false;
  EXPECT_EQ(AppendOne(*log_, DenialDraft(2)), "");
  EXPECT_EQ(folder_.Names("seg-").size(), 1u);
  ExpectGoodAfterRestart();
}

// A failed sync, and then a disk so broken that the attempt at a new segment cannot even be
// removed: its file must not stand in the way of the next attempt.
TEST_F(Fault, WhatABrokenDiskLeftBehindIsNotInTheWay) {
  int step = 0;
  io_.fail = [&](const std::string& name, int) {
    if (step == 0 && name == "fdatasync") return -EIO;
    if (step == 1 && (name == "fdatasync" || name == "rename" || name == "unlink")) return -EROFS;
    if (name == "create") step = 1;
    return 0;
  };
  EXPECT_NE(AppendOne(*log_, DenialDraft(2)), "");
  EXPECT_NE(AppendOne(*log_, DenialDraft(2)), "");
  EXPECT_EQ(folder_.Names("seg-").size(), 2u) << "the test must leave one behind";
  io_.fail = nullptr;
  EXPECT_EQ(AppendOne(*log_, DenialDraft(2)), "");
  EXPECT_EQ(Kinds(folder_), (std::vector<uint64_t>{0, 3, 0, 12, 3}));
  ExpectGoodAfterRestart();
}

// ext4 keeps what a failed fallocate(2) found, which is all there was.
TEST_F(Fault, AReservationThatFailsGivesBackWhatItGot) {
  log_.reset();
  TestFolder fresh;
  std::vector<std::string> order;
  io_.fail = [&](const std::string& name, int n) {
    if (name == "reserve" || name == "truncate") order.push_back(name);
    return name == "reserve" && n == 1 ? -ENOSPC : 0;
  };
  io_.calls.clear();
  auto log = Log::Open(fresh.Options(&io_));
  ASSERT_TRUE(log) << log.error().message;
  ASSERT_GE(order.size(), 3u);
  EXPECT_EQ(order[0] + order[1] + order[2], "reservetruncatereserve");
}

TEST_F(Fault, ACheckpointOnAFullDiskIsTriedAgain) {
  FailNext("writev", ENOSPC);
  EXPECT_FALSE(log_->Checkpoint());
  EXPECT_EQ(AppendOne(*log_, DenialDraft(2)), "");
  EXPECT_TRUE(log_->Checkpoint());
  ExpectGoodAfterRestart();
}

TEST_F(Fault, ACheckpointTornByAFullDiskIsTakenBack) {
  io_.longest_write = 20;
  io_.calls.clear();
  io_.fail = [](const std::string& name, int n) {
    return name == "writev" && n == 2 ? -ENOSPC : 0;
  };
  EXPECT_FALSE(log_->Checkpoint());
  io_.longest_write = SIZE_MAX;
  EXPECT_TRUE(log_->Checkpoint());
  ExpectGoodAfterRestart();
}

TEST_F(Fault, SpaceThatCannotBeReservedIsSaidWithTheFix) {
  log_.reset();
  TestFolder fresh;
  FailNext("reserve", ENOSPC, 1000);
  auto log = Log::Open(fresh.Options(&io_));
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, ExitCode::kAudit);
  EXPECT_NE(log.error().message.find("free some space"), std::string::npos) << log.error().message;
  io_.fail = nullptr;
  EXPECT_TRUE(Log::Open(fresh.Options(&io_))) << "it must not have left anything in the way";
}

TEST_F(Fault, AFileSystemWithoutReservationWorks) {
  log_.reset();
  TestFolder fresh;
  FailNext("reserve", EOPNOTSUPP, 1000);
  auto log = Log::Open(fresh.Options(&io_));
  ASSERT_TRUE(log) << log.error().message;
  EXPECT_EQ(AppendOne(**log, DenialDraft(1)), "");
}

// One workload, one failing call after the other: whatever was acknowledged is in the log
// afterwards, in order, and the log opens and verifies.
TEST(FaultEverywhere, EveryCallFailsOnce) {
  constexpr const char* kCalls[] = {"writev", "fdatasync", "fsync", "create",
                                    "open",   "reserve",   "rename"};
  constexpr int kErrors[] = {EIO, ENOSPC};
  int cases = 0;
  for (const char* call : kCalls) {
    for (const int error : kErrors) {
      for (int nth = 1; nth < 40; ++nth) {
        SCOPED_TRACE(std::string(call) + " number " + std::to_string(nth) + ": " +
                     strerrorname_np(error));
        TestFolder folder(TestFolder::kMemory);
        FaultyIo io;
        bool failed = false;
        io.fail = [&](const std::string& name, int n) {
          if (name != call || n != nth) return 0;
          failed = true;
          return -error;
        };
        std::vector<uint64_t> acknowledged;
        {
          LogOptions options = folder.Options(&io);
          options.checkpoint_every = 4;
          auto log = Log::Open(options);
          for (uint8_t i = 0; log && i < 12; ++i) {
            Draft draft = DenialDraft(i);
            const Appended done = (*log)->Append({&draft, 1})[0];
            if (done.error.empty()) acknowledged.push_back(done.seq);
          }
        }
        if (!failed) break;
        ++cases;
        auto log = Log::Open(folder.Options());
        ASSERT_TRUE(log) << log.error().message;
        ASSERT_TRUE((*log)->Checkpoint());
        const verify::Report report = folder.Verify();
        ASSERT_EQ(report.exit, verify::kOk) << Describe(report);
        verify::LogReader reader(folder.log_dir());
        verify::RecordView record;
        for (const uint64_t seq : acknowledged) {
          ASSERT_TRUE(reader.Find(seq, &record))
              << "record " << seq << " was acknowledged and is gone";
          ASSERT_EQ(record.kind, 3u);
        }
      }
    }
  }
  EXPECT_GT(cases, 60);
}

}  // namespace
}  // namespace krux::audit
