// The log that a real gateway wrote, stopped and fully signed: what `krux audit verify` says about
// it, and about it after somebody changed it. (tests/audit/ flips every bit of a smaller one.)
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/tools/krux_process.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

class AuditLog : public testing::Test {
 protected:
  void SetUp() override {
    WriteFile(gateway_.Path("file"), "content");
    ASSERT_EQ(gateway_.Krux({"call", "fs.read", "file"}).exit, 0);
    ASSERT_EQ(gateway_.Krux({"call", "fs.read", "/etc/shadow"}).exit, 77);
    ASSERT_EQ(gateway_.Krux({"gateway", "stop"}).exit, 0);
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(gateway_.state() + "/audit")) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".klog")) segment_ = entry.path();
      if (name == "checkpoints") checkpoints_ = entry.path();
    }
    ASSERT_FALSE(segment_.empty());
    ASSERT_FALSE(checkpoints_.empty());
  }

  Ran Verify() const { return gateway_.Krux({"audit", "verify"}); }

  const PrivateGateway gateway_;
  std::string segment_;
  std::string checkpoints_;
};

TEST_F(AuditLog, WholeAndSignedIsZero) {
  const Ran ran = Verify();
  EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
  EXPECT_TRUE(ran.out.starts_with("ok: ")) << ran.out;
}

TEST_F(AuditLog, AFlippedBitIsOneAndNamesTheRecord) {
  for (const std::string& path : {segment_, checkpoints_}) {
    const std::string whole = ReadFile(path);
    for (size_t at = 7; at < whole.size(); at += whole.size() / 40 + 1) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 1 << at % 8);
      WriteFile(path, changed);
      const Ran ran = Verify();
      EXPECT_EQ(ran.exit, 1) << path << " byte " << at << ran.out << ran.err;
      if (path == segment_) {
        EXPECT_NE(ran.out.find("record "), std::string::npos) << ran.out;
      }
    }
    WriteFile(path, whole);
  }
  EXPECT_EQ(Verify().exit, 0);
}

TEST_F(AuditLog, ATornTailAboveTheSignedSizeIsTwo) {
  const std::string whole = ReadFile(segment_);
  WriteFile(segment_, whole + whole.substr(0, 100));
  EXPECT_EQ(Verify().exit, 2);
}

TEST_F(AuditLog, WithoutAKeyNothingIsVerified) {
  std::filesystem::remove(gateway_.state() + "/audit.pub");
  EXPECT_EQ(Verify().exit, 3);
}

TEST_F(AuditLog, TailAndShowReadWithoutAGateway) {
  const Ran tail = gateway_.Krux({"audit", "tail", "-n", "3", "-o", "jsonl"});
  EXPECT_EQ(tail.exit, 0) << tail.err;
  EXPECT_EQ(std::count(tail.out.begin(), tail.out.end(), '\n'), 3);
  EXPECT_TRUE(ParseJson(tail.out.substr(0, tail.out.find('\n')))) << tail.out;
  EXPECT_EQ(gateway_.Krux({"audit", "show", "999999"}).exit, 66);
  const Ran show = gateway_.Krux({"audit", "show", "1"});
  EXPECT_EQ(show.exit, 0);
  EXPECT_NE(show.out.find("admin"), std::string::npos) << show.out;
}

}  // namespace
}  // namespace krux::tools
