// The whole path, as its user sees it: client → gateway → decision → durable intent → confined
// worker → durable outcome → answer. Each test has a gateway of its own.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "tests/tools/krux_process.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

std::string EveryByte() {
  std::string bytes;
  for (int round = 0; round < 40; ++round) {
    for (int c = 0; c < 256; ++c) bytes += static_cast<char>(c ^ round);
  }
  return bytes;
}

// The answer of `-o json`.
cbor::Map Json(const Ran& ran) {
  const Result<cbor::Value> value = ParseJson(ran.out);
  if (!value || value->map() == nullptr) {
    ADD_FAILURE() << "not JSON: " << ran.out << ran.err;
    return {};
  }
  return *value->map();
}

uint64_t Number(const cbor::Map& map, const char* key) {
  const cbor::Value* value = map.Find(key);
  return value != nullptr && value->uint() != nullptr ? *value->uint() : 0;
}

std::string Text(const cbor::Map& map, const char* key) {
  const cbor::Value* value = map.Find(key);
  return value != nullptr && value->text() != nullptr ? *value->text() : "";
}

// The records of one call, as `krux audit show SEQ` has them.
cbor::Array Show(const PrivateGateway& gateway, uint64_t seq) {
  const Ran shown = gateway.Krux({"audit", "show", std::to_string(seq), "-o", "json"});
  EXPECT_EQ(shown.exit, 0) << shown.err;
  const cbor::Map answer = Json(shown);
  const cbor::Value* records = answer.Find("records");
  return records != nullptr && records->array() != nullptr ? *records->array() : cbor::Array{};
}

TEST(Call, ReadsTheExactBytesOfAFile) {
  const PrivateGateway gateway;
  WriteFile(gateway.Path("file"), EveryByte());
  const Ran ran = gateway.Krux({"call", "fs.read", "file"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_TRUE(ran.out == EveryByte()) << "bytes differ";
  const Ran again = gateway.Krux({"call", "fs.read", "file", "offset=256", "limit=3"});
  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_EQ(again.out, EveryByte().substr(256, 3));
}

TEST(Call, IsRecordedIntentFirstWithTheWorkersOwnPid) {
  const PrivateGateway gateway;
  WriteFile(gateway.Path("file"), "content");
  const cbor::Map answer = Json(gateway.Krux({"call", "fs.read", "file", "-o", "json"}));
  EXPECT_EQ(Text(answer, "text"), "content");
  const uint64_t seq = Number(answer, "seq");
  const cbor::Array records = Show(gateway, seq);
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(Text(*records[0].map(), "kind"), "intent");
  EXPECT_EQ(Number(*records[0].map(), "seq"), seq);
  EXPECT_EQ(Text(*records[1].map(), "kind"), "outcome");
  EXPECT_EQ(Number(*records[1].map(), "seq"), Number(answer, "outcome_seq"));
  EXPECT_LT(seq, Number(answer, "outcome_seq"));
  const uint64_t worker = Number(*records[1].map(), "worker_pid");
  EXPECT_NE(worker, 0U);
  EXPECT_NE(worker, static_cast<uint64_t>(gateway.Kruxd()));
  EXPECT_EQ(gateway.Krux({"audit", "verify"}).exit, 0);
}

TEST(Call, WithTheLogStoppedReleasesNothing) {
  const PrivateGateway gateway;
  WriteFile(gateway.Path("file"), "content");
  ASSERT_EQ(gateway.Krux({"call", "fs.read", "file"}).out, "content");
  const pid_t auditd = gateway.Daemon("krux-auditd");
  ASSERT_GT(auditd, 0);
  ASSERT_EQ(kill(auditd, SIGSTOP), 0);
  const Ran ran = gateway.Krux({"call", "fs.read", "file"});
  kill(auditd, SIGCONT);
  EXPECT_EQ(ran.exit, 74) << ran.err;
  EXPECT_EQ(ran.out, "");
}

TEST(Call, WithTheLogDeadReleasesNothing) {
  const PrivateGateway gateway;
  WriteFile(gateway.Path("file"), "content");
  ASSERT_EQ(gateway.Start({"--no-restart"}).exit, 0);
  ASSERT_EQ(gateway.Krux({"call", "fs.read", "file"}).out, "content");
  const pid_t auditd = gateway.Daemon("krux-auditd");
  ASSERT_GT(auditd, 0);
  ASSERT_EQ(kill(auditd, SIGKILL), 0);
  for (int i = 0; i < 3; ++i) {
    const Ran ran = gateway.Krux({"call", "fs.read", "file"});
    EXPECT_EQ(ran.exit, 74) << ran.err;
    EXPECT_EQ(ran.out, "");
  }
}

TEST(Call, AKilledDaemonComesBackAndTheLogStaysWhole) {
  const PrivateGateway gateway;
  WriteFile(gateway.Path("file"), "content");
  for (const char* daemon : {"krux-auditd", "krux-spawnd", "krux-mountd", "kruxd"}) {
    ASSERT_EQ(gateway.Krux({"call", "fs.read", "file"}).out, "content") << daemon;
    const pid_t pid = gateway.Daemon(daemon);
    ASSERT_GT(pid, 0) << daemon;
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    // The first calls may meet the generation that is ending; none may answer wrongly.
    Ran ran;
    for (int attempt = 0; attempt < 50 && ran.exit != 0; ++attempt) {
      ran = gateway.Krux({"call", "fs.read", "file"});
      if (ran.exit != 0) {
        EXPECT_EQ(ran.out, "") << daemon;
      }
    }
    EXPECT_EQ(ran.out, "content") << daemon << ": " << ran.err;
  }
  const Ran verified = gateway.Krux({"audit", "verify"});
  EXPECT_EQ(verified.exit, 0) << verified.out << verified.err;
}

TEST(Call, OutsideThePolicyIsDeniedByOneRuleAndStartsNoWorker) {
  const PrivateGateway gateway;
  const Ran ran = gateway.Krux({"call", "fs.read", "/etc/shadow"});
  EXPECT_EQ(ran.exit, 77);
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find("`/etc/shadow`"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("paths.read"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("read_files"), std::string::npos) << ran.err;
  const cbor::Map answer = Json(gateway.Krux({"call", "fs.read", "/etc/shadow", "-o", "json"}));
  EXPECT_EQ(Text(answer, "verdict"), "deny");
  EXPECT_FALSE(Text(answer, "rule").empty());
  EXPECT_EQ(Number(answer, "outcome_seq"), 0U);
  const cbor::Array records = Show(gateway, Number(answer, "seq"));
  ASSERT_EQ(records.size(), 1U);  // a denial has no outcome: nothing was started
  EXPECT_EQ(Text(*records[0].map(), "kind"), "denial");
  EXPECT_EQ(gateway.Krux({"audit", "verify"}).exit, 0);
}

TEST(Call, ProgramsRunAsUid1100) {
  const PrivateGateway gateway;
  const Ran id = gateway.Krux({"call", "--profile", "local_dev", "proc.exec", "--", "id"});
  EXPECT_EQ(id.exit, 0) << id.err;
  EXPECT_TRUE(id.out.starts_with("uid=1100")) << id.out;
  const Ran denied = gateway.Krux({"call", "proc.exec", "--", "id"});
  EXPECT_EQ(denied.exit, 77) << denied.err;
}

TEST(Call, AProgramsStreamsAndStatusArriveApart) {
  const PrivateGateway gateway;
  const std::vector<std::string> words{"call", "--profile", "local_dev", "proc.exec"};
  const auto exec = [&](std::vector<std::string> flags) {
    std::vector<std::string> all = words;
    all.insert(all.end(), flags.begin(), flags.end());
    for (const char* word : {"--", "sh", "-c", "echo out; echo err >&2; exit 7"})
      all.emplace_back(word);
    return gateway.Krux(all);
  };
  const Ran plain = exec({});
  EXPECT_EQ(plain.exit, 1);
  EXPECT_EQ(plain.out, "out\n");
  EXPECT_TRUE(plain.err.find("err\n") != std::string::npos) << plain.err;
  EXPECT_EQ(exec({"--exec-status"}).exit, 7);
  const cbor::Map json = Json(exec({"-o", "json"}));
  EXPECT_EQ(Text(*json.Find("stdout")->map(), "text"), "out\n");
  EXPECT_EQ(Text(*json.Find("stderr")->map(), "text"), "err\n");
  EXPECT_EQ(Number(*json.Find("data")->map(), "exit"), 7U);
}

TEST(Gateway, RacingFirstCallsStartOne) {
  const PrivateGateway gateway;
  WriteFile(gateway.Path("file"), "content");
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(gateway.Krux({"call", "fs.read", "file"}).out == "content" ? 0 : 1);
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  size_t logs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(gateway.state() + "/audit")) {
    logs += entry.is_directory() && entry.path().filename() != "policies" ? 1 : 0;
  }
  EXPECT_EQ(logs, 1U);
}

TEST(Gateway, ARunningOneIsNeverWidened) {
  const PrivateGateway gateway;
  WriteFile(gateway.Path("file"), "content");
  ASSERT_EQ(gateway.Start().exit, 0);
  const Ran widened = gateway.Krux({"call", "--allow-degraded=landlock", "fs.read", "file"});
  EXPECT_EQ(widened.exit, 78) << widened.err;
  EXPECT_EQ(widened.out, "");
}

TEST(Gateway, RefusesToRunDegradedUnlessItWasToldTo) {
  if (NeedsDegraded().empty()) return;  // then nothing is missing here
  const PrivateGateway gateway;
  WriteFile(gateway.Path("file"), "content");
  const Ran refused = gateway.Krux({"call", "fs.read", "file"}, {.as_it_is = true});
  EXPECT_EQ(refused.exit, 71) << refused.err;
  EXPECT_EQ(refused.out, "");
  EXPECT_NE(refused.err.find("`cgroup`"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("krux doctor"), std::string::npos) << refused.err;
}

TEST(Gateway, StopEndsEveryDaemonAndTheLogIsWhole) {
  const PrivateGateway gateway;
  WriteFile(gateway.Path("file"), "content");
  ASSERT_EQ(gateway.Krux({"call", "fs.read", "file"}).exit, 0);
  const pid_t auditd = gateway.Daemon("krux-auditd");
  ASSERT_EQ(gateway.Krux({"gateway", "stop"}).exit, 0);
  EXPECT_NE(kill(auditd, 0), 0);
  const Ran verified = gateway.Krux({"audit", "verify"});
  EXPECT_EQ(verified.exit, 0) << verified.out << verified.err;
}

TEST(Doctor, TriesARealSandboxHereAndLeavesNothing) {
  const Ran ran =
      RunProgram({KruxProgram(), "doctor", "-o", "json"}, {.environment = {"HOME=/nonexistent"}});
  const cbor::Map answer = Json(ran);
  EXPECT_EQ(Text(answer, "probe_message"), "") << ran.err;
  for (const cbor::Value& check : *answer.Find("checks")->array()) {
    if (*check.map()->Find("layer") == cbor::Value(false)) continue;
    const std::string live = Text(*check.map(), "live");
    EXPECT_TRUE(live == "held" || (live == "degraded" && Text(*check.map(), "name") == "cgroup"))
        << live;
  }
  EXPECT_EQ(ran.exit, NeedsDegraded().empty() ? 0 : 71);
  for (const auto& entry : std::filesystem::directory_iterator("/tmp")) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("krux-doctor-")) << entry.path();
  }
}

// An ordinary user, without XDG_RUNTIME_DIR, in a tree that belongs to him.
TEST(Rootless, ReadsAFileAndTheRecordSaysWhatIsMissing) {
  if (geteuid() != 0) return;  // then every other test here is the rootless one
  constexpr uid_t kSomebody = 61234;
  const std::string programs = "/tmp/krux-rootless-" + std::to_string(getpid());
  std::filesystem::create_directory(programs);
  chmod(programs.c_str(), 0755);
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(KruxProgram()).parent_path())) {
    if (!entry.path().filename().string().starts_with("krux")) continue;
    if (entry.path().filename().string().ends_with("_test")) continue;
    std::filesystem::copy_file(entry.path(), programs + "/" + entry.path().filename().string());
  }
  {
    const PrivateGateway gateway(kSomebody, programs + "/krux");
    WriteFile(gateway.Path("file"), "content");
    chmod(gateway.Path("file").c_str(), 0644);
    const Ran ran = gateway.Krux({"call", "fs.read", "file", "-o", "json"});
    EXPECT_EQ(ran.exit, 0) << ran.err;
    const cbor::Map answer = Json(ran);
    EXPECT_EQ(Text(answer, "text"), "content");
    const cbor::Array records = Show(gateway, Number(answer, "seq"));
    ASSERT_EQ(records.size(), 2U);
    const Ran shown = gateway.Krux({"audit", "show", std::to_string(Number(answer, "seq"))});
    EXPECT_NE(shown.out.find("cgroup"), std::string::npos) << shown.out;
    EXPECT_EQ(gateway.Krux({"audit", "verify"}).exit, 0);
    EXPECT_EQ(gateway.Krux({"call", "fs.read", "/etc/shadow"}).exit, 77);
    const Ran id = gateway.Krux({"call", "--profile", "local_dev", "proc.exec", "--", "id", "-u"});
    EXPECT_EQ(id.out, "1100\n") << id.err;
  }
  std::error_code ignored;
  std::filesystem::remove_all(programs, ignored);
}

}  // namespace
}  // namespace krux::tools
