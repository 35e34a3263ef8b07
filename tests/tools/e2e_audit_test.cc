// The log that a real gateway wrote, stopped and fully signed: what `krux audit verify` says about
// it, and about it after somebody changed it. (tests/audit/ flips every bit of a smaller one.)
#include <gtest/gtest.h>

#include <algorithm>
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

size_t Lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST_F(AuditLog, CatShowsEveryRecordAsCborAndAsJson) {
  const Ran tail = gateway_.Krux({"audit", "tail", "-n", "1000", "-o", "jsonl"});
  const Ran diag = gateway_.Krux({"audit", "cat"});
  EXPECT_EQ(diag.exit, 0) << diag.err;
  EXPECT_EQ(Lines(diag.out), Lines(tail.out));
  EXPECT_NE(diag.out.find("at byte 0 / [<<{0: 1, 1: 0, 2: h'0000"), std::string::npos) << diag.out;
  const Ran json = gateway_.Krux({"audit", "cat", "-o", "jsonl"});
  EXPECT_EQ(json.exit, 0);
  EXPECT_EQ(Lines(json.out), Lines(tail.out));
  for (size_t at = 0; at < json.out.size();) {
    const size_t end = json.out.find('\n', at);
    EXPECT_TRUE(ParseJson(json.out.substr(at, end - at))) << json.out.substr(at, end - at);
    at = end + 1;
  }
  // The arguments stand in the openings.
  EXPECT_NE(json.out.find("\"path\":\"" + gateway_.Path("file") + "\""), std::string::npos);
  const Ran some = gateway_.Krux({"audit", "cat", "--from", "2", "--to", "3"});
  EXPECT_EQ(Lines(some.out), 2u) << some.out;
  EXPECT_NE(some.out.find("1: 2,"), std::string::npos);
  EXPECT_NE(some.out.find("1: 3,"), std::string::npos);
}

TEST_F(AuditLog, CatReadsOnBehindDamageAndNeverActsOnATerminal) {
  const std::string whole = ReadFile(segment_);
  const size_t lines = Lines(gateway_.Krux({"audit", "cat"}).out);
  // One record rots, another frame is no frame any more, and hostile bytes stand at the end.
  std::string changed = whole;
  changed[60] = static_cast<char>(changed[60] ^ 1);
  const size_t second = changed.find("\x83\x1a", 100);
  changed[second] = '\x1b';
  WriteFile(segment_, changed + "\x1b]0;owned\x07\x9b");
  for (const char* format : {"diag", "jsonl"}) {
    const Ran ran = gateway_.Krux({"audit", "cat", "-o", format});
    EXPECT_EQ(ran.exit, 65) << ran.err;
    EXPECT_EQ(Lines(ran.out), lines + 1);
    for (const char c : ran.out) EXPECT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7f));
  }
  const Ran diag = gateway_.Krux({"audit", "cat"});
  EXPECT_NE(diag.out.find("its checksum does not match"), std::string::npos);
  EXPECT_NE(diag.out.find("no frame"), std::string::npos);
  EXPECT_EQ(gateway_.Krux({"audit", "cat", "--log", gateway_.work()}).exit, 66);
  EXPECT_EQ(gateway_.Krux({"audit", "cat", "-o", "xml"}).exit, 64);
}

}  // namespace
}  // namespace krux::tools
