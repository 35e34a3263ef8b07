// The disk of the log, full, read-only, hanging or failing, under a gateway with running calls:
// what cannot be recorded is refused with 74, what runs is closed from the space that was kept for
// it, and when the disk works again so does the gateway, without anybody's help.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <thread>

#include "tests/tools/krux_process.h"
#include "tests/tools/small_disk.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

constexpr int kAudit = 74;

// Waits for what another process does.
bool Await(const std::function<bool()>& happened, int timeout_ms = 20'000) {
  for (int waited = 0; waited < timeout_ms; waited += 20) {
    if (happened()) return true;
    poll(nullptr, 0, 20);
  }
  return happened();
}

// A gateway whose krux-auditd has a disk that fails as the file `test-faults` says.
std::string FaultyDaemons(const std::string& root) {
  const std::string folder = root + "/daemons";
  std::filesystem::create_directory(folder);
  const std::string built = std::filesystem::path(KruxProgram()).parent_path();
  for (const std::string name : {"kruxd", "krux-mountd", "krux-spawnd"}) {
    std::filesystem::create_symlink(built + "/" + name, folder + "/" + name);
  }
  std::filesystem::create_symlink(built + "/krux-auditd-hooks", folder + "/krux-auditd");
  return folder;
}

class Disk : public testing::Test {
 protected:
  ~Disk() override {
    // Before the mount goes away under it.
    if (gateway_) Krux({"gateway", "stop"});
  }

  void Begin(bool faulty = false) {
    gateway_ = std::make_unique<PrivateGateway>();
    WriteFile(gateway_->Path("file"), "content");
    if (faulty) environment_.push_back("KRUX_LIBEXEC_DIR=" + FaultyDaemons(gateway_->root()));
  }
  bool MountState(SmallDisk::Kind kind, int mebibytes) {
    disk_ = std::make_unique<SmallDisk>(kind, gateway_->state(), mebibytes);
    return disk_->mounted();
  }
  Ran Krux(const std::vector<std::string>& words) const {
    RunOptions options;
    options.environment = environment_;
    return gateway_->Krux(words, options);
  }
  Ran Read() const { return Krux({"call", "fs.read", "file"}); }
  // Recorded with its 20 KiB of arguments: the log fills quickly.
  Ran LongRefusal() const {
    return Krux(
        {"call", "fs.nothing", "--args", R"({"path":")" + std::string(20'000, 'x') + R"("})"});
  }
  // On a full disk: until the segment has no room for the smallest record.
  bool FillLog() const {
    Ran refused;
    for (int i = 0; i < 400 && refused.exit != kAudit; ++i) refused = LongRefusal();
    for (int i = 0; i < 2; ++i) {
      for (int n = 0; n < 100 && Krux({"call", "fs.nothing"}).exit != kAudit; ++n) {
      }
    }
    return refused.exit == kAudit && Krux({"call", "fs.nothing"}).exit == kAudit;
  }
  void Faults(const std::string& text) const {
    // Renamed into place: krux-auditd must not read half of it.
    WriteFile(gateway_->state() + "/audit/test-faults.new", text);
    chmod((gateway_->state() + "/audit/test-faults.new").c_str(), 0644);
    rename((gateway_->state() + "/audit/test-faults.new").c_str(),
           (gateway_->state() + "/audit/test-faults").c_str());
  }

  // Calls that run until Finish(), and what became of them.
  void StartRunning(int calls) {
    running_.resize(static_cast<size_t>(calls));
    for (int i = 0; i < calls; ++i) {
      threads_.emplace_back([this, i] {
        running_[static_cast<size_t>(i)] =
            Krux({"call", "--profile", "local_dev", "proc.exec", "--", "sh", "-c",
                  "touch begun" + std::to_string(i) +
                      "; while ! test -e go; do sleep 0.02; done; echo ended"});
      });
    }
    for (int i = 0; i < calls; ++i) {
      const std::string begun = gateway_->Path("begun" + std::to_string(i));
      ASSERT_TRUE(Await([&] { return std::filesystem::exists(begun); })) << "call " << i;
    }
  }
  void Finish() {
    WriteFile(gateway_->Path("go"), "");
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  size_t Count(const std::string& kind) const {
    const Ran tail = Krux({"audit", "tail", "-n", "100000", "-o", "jsonl"});
    EXPECT_EQ(tail.exit, 0) << tail.err;
    size_t count = 0;
    const std::string wanted = "\"kind\":\"" + kind + "\"";
    for (size_t at = 0; (at = tail.out.find(wanted, at)) != std::string::npos; ++at) ++count;
    return count;
  }
  // Everything that was begun was also ended, and the log holds.
  void ExpectWholeLog() {
    EXPECT_TRUE(Await([&] { return Count("intent") == Count("outcome") + Count("recovered"); }))
        << Count("intent") << " intents, " << Count("outcome") << " outcomes, "
        << Count("recovered") << " recovered";
    const Ran verify = Krux({"audit", "verify"});
    EXPECT_EQ(verify.exit, 0) << verify.out << verify.err;
  }

  std::unique_ptr<PrivateGateway> gateway_;
  std::unique_ptr<SmallDisk> disk_;
  std::vector<std::string> environment_;
  std::vector<std::thread> threads_;
  std::vector<Ran> running_;
};

class FullDisk : public Disk, public testing::WithParamInterface<SmallDisk::Kind> {};

TEST_P(FullDisk, RefusesWith74ClosesWhatRunsAndGoesOnByItself) {
  Begin();
  if (!MountState(GetParam(), GetParam() == SmallDisk::kExt4 ? 8 : 4))
    GTEST_SKIP() << "no file system can be mounted here";
  {
    const Ran first = Read();
    ASSERT_EQ(first.exit, 0) << first.err;
  }
  const pid_t kruxd = gateway_->Kruxd();
  const pid_t auditd = gateway_->Daemon("krux-auditd");
  StartRunning(4);
  disk_->Fill();
  ASSERT_TRUE(FillLog());
  // Whatever it would have been: allowed, denied, or refused before any decision.
  const Ran read = Read();
  EXPECT_EQ(read.exit, kAudit) << read.err;
  EXPECT_EQ(read.out, "") << "nothing may be released";
  EXPECT_NE(read.err.find("log cannot be written"), std::string::npos) << read.err;
  EXPECT_EQ(Krux({"call", "fs.read", "/etc/shadow"}).exit, kAudit);
  EXPECT_EQ(Krux({"call", "fs.nothing"}).exit, kAudit);
  const size_t outcomes = Count("outcome");
  Finish();
  for (const Ran& ran : running_) {
    EXPECT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(ran.out, "ended\n");
  }
  EXPECT_EQ(Count("outcome"), outcomes + running_.size()) << "durable while the disk is full";
  // What was kept for them is free again, and soon used up.
  ASSERT_TRUE(FillLog());
  EXPECT_EQ(Read().exit, kAudit);
  disk_->Free();
  EXPECT_EQ(Read().exit, 0) << "the next call must work";
  EXPECT_EQ(gateway_->Kruxd(), kruxd) << "nobody restarted anything";
  EXPECT_EQ(gateway_->Daemon("krux-auditd"), auditd);
  ExpectWholeLog();
  EXPECT_EQ(Count("recovered"), 0u);
}

INSTANTIATE_TEST_SUITE_P(Kinds, FullDisk, testing::Values(SmallDisk::kExt4, SmallDisk::kTmpfs),
                         [](const auto& kind) {
                           return kind.param == SmallDisk::kExt4 ? "ext4" : "tmpfs";
                         });

// The disk fails by injection; the daemons, the log and the calls are real.
class FailingDisk : public Disk {
 protected:
  void SetUp() override {
    Begin(true);
    const Ran first = Read();
    ASSERT_EQ(first.exit, 0) << first.err;
    kruxd_ = gateway_->Kruxd();
  }
  void ExpectWorksWithoutRestart() {
    const Ran ran = Read();
    EXPECT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(gateway_->Kruxd(), kruxd_);
    ExpectWholeLog();
    EXPECT_EQ(Count("recovered"), 0u);
  }
  pid_t kruxd_ = 0;
};

TEST_F(FailingDisk, OneErrorCostsASegmentAndNoCall) {
  for (const char* fault :
       {"writev:segment EIO 1", "fdatasync:segment EIO 1", "short:100\nwritev:segment ENOSPC 3",
        "fdatasync:checkpoints EIO 1", "writev:checkpoints EIO 1", "short:40\nwritev EINTR 2 3"}) {
    SCOPED_TRACE(fault);
    Faults(fault);
    const Ran ran = Read();
    EXPECT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(ran.out, "content");
    EXPECT_EQ(Krux({"audit", "verify"}).exit, 0);
  }
  Faults("");
  EXPECT_EQ(Count("gap"), 3u);
  ExpectWorksWithoutRestart();
}

TEST_F(FailingDisk, ErrorsThatGoOnAre74UntilTheyStop) {
  size_t gaps = 0;
  for (const char* faults :
       {"writev:segment EIO", "fdatasync:segment EIO", "fdatasync EIO\nfsync EIO",
        "fdatasync:segment EIO 1\nfsync EIO", "fdatasync:segment EIO 1\ncreate:segment ENOSPC",
        "short:100\nwritev:segment ENOSPC 2 1000000"}) {
    SCOPED_TRACE(faults);
    Faults(faults);
    for (int i = 0; i < 2; ++i) {
      const Ran ran = Read();
      EXPECT_EQ(ran.exit, kAudit) << ran.err;
      EXPECT_EQ(ran.out, "");
      EXPECT_EQ(Krux({"call", "fs.read", "/etc/shadow"}).exit, kAudit);
    }
    Faults("");
    ExpectWorksWithoutRestart();
    EXPECT_EQ(Count("gap"), ++gaps);
  }
}

TEST_F(FailingDisk, CheckpointsThatCannotBeWrittenAre74UntilTheyCan) {
  Faults("fdatasync:checkpoints EIO\nopen:checkpoints EIO");
  Ran ran;
  // The first may pass: its records are durable before somebody asks for a signature.
  EXPECT_TRUE(Await([&] {
    Krux({"audit", "verify"});
    return (ran = Read()).exit == kAudit;
  })) << ran.exit;
  EXPECT_NE(ran.err.find("cannot be signed"), std::string::npos) << ran.err;
  Faults("");
  ExpectWorksWithoutRestart();
}

// What Linux answers on a file system that it made read-only (errors=remount-ro), while calls run.
TEST_F(FailingDisk, ReadOnlyWhileCallsRunOwesTheirOutcomesUntilItIsWritable) {
  StartRunning(4);
  Faults(
      "writev EROFS\nfdatasync EROFS\nfsync EROFS\ncreate EROFS\nrename EROFS\n"
      "unlink EROFS\nreserve EROFS\ntruncate EROFS");
  EXPECT_EQ(Read().exit, kAudit);
  Finish();
  for (const Ran& ran : running_) {
    EXPECT_EQ(ran.exit, kAudit) << "a result whose outcome is not durable";
    EXPECT_EQ(ran.out, "");
  }
  EXPECT_EQ(Count("intent"), Count("outcome") + 4);
  Faults("");
  ExpectWorksWithoutRestart();
  EXPECT_EQ(Count("gap"), 0u) << "nothing was written, so nothing was torn";
}

TEST_F(FailingDisk, ASyncThatFailsUnderRunningCallsLosesNoOutcome) {
  StartRunning(4);
  Faults("fdatasync:segment EIO\ncreate:segment EIO");
  Finish();
  for (const Ran& ran : running_) EXPECT_EQ(ran.exit, kAudit);
  Faults("");
  ExpectWorksWithoutRestart();
  EXPECT_EQ(Count("gap"), 1u);
}

// Somebody else works in the folder of the log, under a running krux-auditd.
class TouchedLog : public Disk {
 protected:
  void SetUp() override {
    Begin();
    const Ran first = Read();
    ASSERT_EQ(first.exit, 0) << first.err;
    kruxd_ = gateway_->Kruxd();
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(gateway_->state() + "/audit")) {
      if (entry.path().extension() == ".klog") segment_ = entry.path();
    }
    ASSERT_FALSE(segment_.empty());
    folder_ = segment_.parent_path();
    RunProgram({"/usr/bin/chattr", "-a", segment_});
  }
  ~TouchedLog() override {
    if (gateway_) RunProgram({"/usr/bin/chattr", "-R", "-a", gateway_->state()});
  }
  void ExpectGoesOn() {
    const Ran ran = Read();
    EXPECT_EQ(ran.exit, 0) << ran.err;
    EXPECT_EQ(gateway_->Kruxd(), kruxd_);
    ExpectWholeLog();
  }
  std::filesystem::path segment_, folder_;
  pid_t kruxd_ = 0;
};

TEST_F(TouchedLog, RemovedItIsPutBackAndNothingIsLost) {
  const std::string before = ReadFile(segment_);
  StartRunning(2);
  std::filesystem::remove(segment_);
  Finish();
  for (const Ran& ran : running_) EXPECT_EQ(ran.exit, 0) << ran.err;
  ExpectGoesOn();
  EXPECT_TRUE(ReadFile(segment_).starts_with(before));
  EXPECT_EQ(Count("gap"), 1u);
}

TEST_F(TouchedLog, ReplacedItIsPutBackAndTheOtherFileIsKept) {
  std::filesystem::rename(segment_, gateway_->Path("stolen"));
  WriteFile(segment_, "forged");
  ExpectGoesOn();
  EXPECT_EQ(ReadFile(folder_ / ("foreign-" + segment_.filename().string() + ".0")), "forged");
}

TEST_F(TouchedLog, AppendedToItDeclaresTheBytes) {
  std::ofstream(segment_, std::ios::app) << "garbage";
  ExpectGoesOn();
  EXPECT_EQ(Count("gap"), 1u);
}

TEST_F(TouchedLog, CutItStaysClosedAndVerifySaysTampered) {
  std::filesystem::resize_file(segment_, std::filesystem::file_size(segment_) - 1);
  for (int i = 0; i < 2; ++i) {
    const Ran ran = Read();
    EXPECT_EQ(ran.exit, kAudit);
    EXPECT_NE(ran.err.find("records are lost"), std::string::npos) << ran.err;
  }
  EXPECT_EQ(Krux({"audit", "verify"}).exit, 1);
  EXPECT_EQ(Krux({"gateway", "stop"}).exit, 0);
  const Ran again = Read();
  EXPECT_EQ(again.exit, kAudit) << "a restart must not hide it: " << again.err;
  EXPECT_EQ(Krux({"audit", "verify"}).exit, 1);
}

TEST_F(TouchedLog, CheckpointsThatWereRemovedArePutBack) {
  std::filesystem::remove(folder_ / "checkpoints");
  ExpectGoesOn();
  EXPECT_EQ(Count("admin"), 2u) << "the start, and that they were put back";
}

TEST_F(TouchedLog, CheckpointsThatWereEmptiedCloseTheLog) {
  std::filesystem::resize_file(folder_ / "checkpoints", 0);
  const Ran ran = Read();
  EXPECT_EQ(ran.exit, kAudit);
  EXPECT_NE(ran.err.find("cut by somebody else"), std::string::npos) << ran.err;
  EXPECT_EQ(Krux({"audit", "verify"}).exit, 3);
}

TEST_F(TouchedLog, AFolderThatWasMovedAwayIs74UntilItIsBack) {
  const std::filesystem::path elsewhere = gateway_->root() + "/elsewhere";
  std::filesystem::rename(folder_, elsewhere);
  const Ran ran = Read();
  EXPECT_EQ(ran.exit, kAudit);
  EXPECT_NE(ran.err.find("moved away"), std::string::npos) << ran.err;
  EXPECT_EQ(Krux({"audit", "verify"}).exit, 3);
  std::filesystem::rename(elsewhere, folder_);
  ExpectGoesOn();
}

// The state of the gateway on a disk of its own.
class OwnDisk : public Disk {
 protected:
  void SetUp() override {
    Begin();
    if (!MountState(SmallDisk::kExt4, 8)) GTEST_SKIP() << "no file system can be mounted here";
    const Ran first = Read();
    ASSERT_EQ(first.exit, 0) << first.err;
  }
};

TEST_F(OwnDisk, ARestartOnAFullDiskIsRefusedAndWorksByItselfWhenThereIsSpace) {
  disk_->Fill();
  ASSERT_TRUE(FillLog());
  ASSERT_EQ(Krux({"gateway", "stop"}).exit, 0);
  disk_->Fill();
  const Ran full = Read();
  EXPECT_EQ(full.exit, kAudit) << full.err;
  disk_->Free();
  EXPECT_EQ(Read().exit, 0);
  ExpectWholeLog();
}

TEST_F(OwnDisk, AnOrdinaryRemountReadOnlyIsRefusedByTheKernelWhileTheLogIsOpen) {
  EXPECT_FALSE(disk_->Remount("ro"));
  EXPECT_EQ(Read().exit, 0);
  ASSERT_EQ(Krux({"gateway", "stop"}).exit, 0);
  ASSERT_TRUE(disk_->Remount("ro"));
  const Ran ran = Read();
  EXPECT_NE(ran.exit, 0);
  ASSERT_TRUE(disk_->Remount("rw"));
  EXPECT_EQ(Read().exit, 0);
  ExpectWholeLog();
}

// The kernel finds an error in the file system and makes it read-only for good.
TEST_F(OwnDisk, AFileSystemThatFailsIs74AndTheNextMountGoesOn) {
  const std::string trigger = "/sys/fs/ext4/" + disk_->Device() + "/trigger_fs_error";
  if (access(trigger.c_str(), W_OK) != 0) GTEST_SKIP() << "this ext4 cannot be made to fail";
  StartRunning(2);
  WriteFile(trigger, "krux test");
  EXPECT_EQ(Read().exit, kAudit);
  Finish();
  for (const Ran& ran : running_) EXPECT_EQ(ran.exit, kAudit) << ran.err;
  Krux({"gateway", "stop"});
  ASSERT_TRUE(Await([&] { return disk_->Unmount(); }));
  ASSERT_TRUE(disk_->Repair());
  ASSERT_TRUE(disk_->Mount());
  const Ran ran = Read();
  EXPECT_EQ(ran.exit, 0) << ran.err;
  ExpectWholeLog();
  EXPECT_EQ(Count("recovered"), 2u);
}

TEST_F(OwnDisk, AFrozenDiskIs74InTimeAndGoesOnWhenItThaws) {
  const std::string folder = gateway_->state();
  ASSERT_EQ(RunProgram({"/sbin/fsfreeze", "-f", folder}).exit, 0);
  const Ran ran = Krux({"call", "fs.read", "file"});
  ASSERT_EQ(RunProgram({"/sbin/fsfreeze", "-u", folder}).exit, 0);
  EXPECT_EQ(ran.exit, kAudit) << ran.err;
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(Read().exit, 0);
  ExpectWholeLog();
}

}  // namespace
}  // namespace krux::tools
