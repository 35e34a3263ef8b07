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
    WriteFile(gateway_->state() + "/test-faults.new", text);
    chmod((gateway_->state() + "/test-faults.new").c_str(), 0644);
    rename((gateway_->state() + "/test-faults.new").c_str(),
           (gateway_->state() + "/test-faults").c_str());
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

}  // namespace
}  // namespace krux::tools
