// Programs that do not end well, as an agent would bring them: each ends with its call, the answer
// names the limit, and so does the record.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "tests/tools/krux_process.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

std::string TextAt(const cbor::Map& map, const char* key) {
  const cbor::Value* value = map.Find(key);
  return value != nullptr && value->text() != nullptr ? *value->text() : "";
}

const cbor::Map& MapAt(const cbor::Map& map, const char* key) {
  static const cbor::Map kNone;
  const cbor::Value* value = map.Find(key);
  return value != nullptr && value->map() != nullptr ? *value->map() : kNone;
}

class Limits : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::copy_file(KRUX_HOSTILE, gateway_.Path("hostile"));
    std::filesystem::permissions(gateway_.Path("hostile"), std::filesystem::perms(0755));
  }

  struct Ended {
    int exit = -1;
    std::string out, err, limit, message, status, reason;
    cbor::Array usage;
    bool truncated = false;
  };

  Ended Run(const std::string& timeout_ms, const std::vector<std::string>& words) const {
    std::vector<std::string> call{"call",
                                  "--profile",
                                  "local_dev",
                                  "-o",
                                  "json",
                                  "proc.exec",
                                  "timeout_ms=" + timeout_ms,
                                  "--",
                                  gateway_.Path("hostile")};
    call.insert(call.end(), words.begin(), words.end());
    const Ran ran = gateway_.Krux(call);
    Ended ended;
    ended.exit = ran.exit;
    const Result<cbor::Value> answer = ParseJson(ran.out);
    if (!answer || answer->map() == nullptr) {
      ADD_FAILURE() << ran.out << ran.err;
      return ended;
    }
    const cbor::Map& map = *answer->map();
    ended.out = TextAt(MapAt(map, "stdout"), "text");
    ended.err = TextAt(MapAt(map, "stderr"), "text");
    ended.limit = TextAt(MapAt(map, "data"), "limit");
    ended.message = TextAt(map, "message");
    ended.truncated = *map.Find("truncated") == cbor::Value(true);
    Record(*map.Find("outcome_seq")->uint(), &ended);
    return ended;
  }

  // What the outcome record says.
  void Record(uint64_t seq, Ended* ended) const {
    const Ran shown = gateway_.Krux({"audit", "show", std::to_string(seq), "-o", "json"});
    const Result<cbor::Value> records = ParseJson(shown.out);
    if (!records || records->map() == nullptr) {
      ADD_FAILURE() << shown.out << shown.err;
      return;
    }
    for (const cbor::Value& record : *records->map()->Find("records")->array()) {
      if (TextAt(*record.map(), "kind") != "outcome") continue;
      ended->status = TextAt(*record.map(), "status");
      ended->reason = TextAt(*record.map(), "reason");
      ended->usage = *record.map()->Find("usage")->array();
    }
  }

  const PrivateGateway gateway_;
};

TEST_F(Limits, EachEndsWithItsCallAndIsNamed) {
  const struct {
    std::vector<std::string> words;
    const char* timeout_ms;
    int exit;
    const char* limit;
    const char* status;
    const char* says;
  } rows[] = {
      {{"fork_bomb"}, "400", 1, "pids", "pids", "limit of 64 processes and threads; start fewer"},
      {{"forks_until_refused"}, "20000", 1, "pids", "pids", "status 3; the call reached"},
      {{"hog"}, "20000", 1, "memory", "oom", "512 MiB of memory"},
      {{"spin"}, "300", 124, "wall", "timeout", "limit of 300 ms"},
      {{"ignore_term"}, "300", 124, "wall", "timeout", "limit of 300 ms"},
      {{"stop_child"}, "300", 124, "wall", "timeout", "limit of 300 ms"},
      {{"write", "/tmp/file", "2000000000"}, "20000", 1, "tmp_bytes", "failed", "64 MiB"},
      {{"files", "/tmp", "1000000"}, "20000", 1, "tmp_files", "failed", "16384 files"},
      {{"daemonise", "/tmp/alive"}, "20000", 0, "", "ok", ""},
      {{"abort"}, "20000", 1, "", "failed", "signal 6"},
  };
  for (const auto& row : rows) {
    const Ended ended = Run(row.timeout_ms, row.words);
    const std::string what = row.words[0] + ": " + ended.message;
    EXPECT_EQ(ended.exit, row.exit) << what;
    EXPECT_EQ(ended.limit, row.limit) << what;
    EXPECT_EQ(ended.status, row.status) << what;
    EXPECT_NE(ended.message.find(row.says), std::string::npos) << what;
    EXPECT_EQ(ended.reason, ended.message) << what;
  }
}

TEST_F(Limits, AProgramThatFillsAStreamIsEndedAndWhatFitsComesOut) {
  for (const char* fd : {"1", "2"}) {
    const Ran ran = gateway_.Krux({"call", "--profile", "local_dev", "proc.exec", "--",
                                   gateway_.Path("hostile"), "fill", fd});
    EXPECT_EQ(ran.exit, 1);
    EXPECT_EQ(ran.out.size(), fd[0] == '1' ? 12u << 20 : 0u);
    EXPECT_EQ(ran.err.find_first_not_of('x'), fd[0] == '1' ? 0u : 4u << 20);
    const size_t said = ran.err.find("the call reached its limit of 16 MiB of output");
    ASSERT_NE(said, std::string::npos);
    const size_t record = ran.err.find("[record ", said);
    ASSERT_NE(record, std::string::npos);
    Ended ended;
    Record(std::strtoull(ran.err.c_str() + record + 8, nullptr, 10), &ended);
    EXPECT_EQ(ended.status, "output");
  }
}

// The disk is WORK's owner's: a file has a size, WORK has no quota, the record counts.
TEST_F(Limits, AGigabyteInWorkIsBoundPerFileAndStandsInTheRecord) {
  const Ended ended = Run("60000", {"write", "large", "1100000000"});
  EXPECT_EQ(ended.exit, 1);
  EXPECT_EQ(ended.limit, "file_size") << ended.message;
  EXPECT_NE(ended.message.find("1024 MiB; write smaller files"), std::string::npos)
      << ended.message;
  EXPECT_EQ(std::filesystem::file_size(gateway_.Path("large")), 1u << 30);
  ASSERT_EQ(ended.usage.size(), 6u);
  ASSERT_NE(ended.usage[4].uint(), nullptr) << "bytes written";
}

TEST_F(Limits, WhatWasPrintedBeforeTheTimeWasUpIsThere) {
  const Ended polite = Run("300", {"bye"});
  EXPECT_EQ(polite.exit, 124);
  EXPECT_EQ(polite.out, "so far\nbye\n");
  EXPECT_TRUE(polite.truncated);
  EXPECT_EQ(polite.status, "timeout");
}

}  // namespace
}  // namespace krux::tools
