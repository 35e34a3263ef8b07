// What a session has seen, through the real gateway and its real daemons: private data, untrusted
// content and a way out do not meet unasked, and a file keeps its label for sessions to come. The
// network is the one thing that is played: kruxd-hooks and krux-spawnd-hooks know test.ingest,
// test.send and test.push, which stand for a page, a message and a push.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "gateway/client/client.h"
#include "tests/tools/krux_process.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

constexpr const char* kNet = R"(krux = 1
name = "net"
[levels]
read_files = "always"
glob_search = "always"
write_files = "always"
run_exec = "always"
web_fetch = "always"
git_push = "always"
[paths]
read = ["${WORK}/**"]
write = ["${WORK}/**"]
[exec]
allow = [["**"]]
program_trees = ["/usr", "/bin", "/lib", "/lib64"]
[exposure]
trifecta = "ask"
trusted_action = "ask"
)";

class Exposure : public testing::Test {
 protected:
  void SetUp() override {
    const std::filesystem::path programs = std::filesystem::path(KruxProgram()).parent_path();
    lib_ = gateway_.root() + "/lib";
    std::filesystem::create_directory(lib_);
    for (const auto& [name, program] : {std::pair{"kruxd", "kruxd-hooks"},
                                        {"krux-spawnd", "krux-spawnd-hooks"},
                                        {"krux-auditd", "krux-auditd"},
                                        {"krux-mountd", "krux-mountd"}})
      std::filesystem::create_symlink(programs / program, lib_ + "/" + name);
    chmod(lib_.c_str(), 0755);
    const std::string etc = gateway_.root() + "/etc";
    std::filesystem::create_directories(etc + "/policies");
    WriteFile(etc + "/krux.toml", "ceiling = \"net\"\n");
    WriteFile(etc + "/policies/net.toml", kNet);
    for (const char* name : {"one", "two", "three"})
      WriteFile(etc + "/policies/" + name + ".toml", Narrower(name, "ask"));
    WriteFile(etc + "/policies/strict.toml", Narrower("strict", "deny"));
    WriteFile(gateway_.Path("file"), "content");
  }

  static std::string Narrower(const std::string& name, const std::string& mode) {
    std::string text = kNet;
    text.replace(text.find("\"net\""), 5, "\"" + name + "\"");
    for (size_t at = 0; (at = text.find("\"ask\"", at)) != std::string::npos; ++at)
      text.replace(at, 5, "\"" + mode + "\"");
    return text;
  }

  Ran Krux(const std::vector<std::string>& words) const {
    return gateway_.Krux(words,
                         {.environment = {"KRUX_LIBEXEC_DIR=" + lib_,
                                          "KRUX_CONFIG=" + gateway_.root() + "/etc/krux.toml"}});
  }

  // What an operator's `krux session new` does: nothing that was seen so far counts any more.
  void EndSessions() const {
    auto admin = gateway::Client::ConnectAdmin(gateway_.Paths());
    ASSERT_TRUE(admin.has_value()) << admin.error().message;
    const auto sessions = admin->Sessions();
    ASSERT_TRUE(sessions.has_value()) << sessions.error().message;
    for (const gateway::SessionInfo& one : *sessions)
      EXPECT_TRUE(admin->EndSession(one.session, "test").has_value());
  }

  // The answer of one call in the session of a profile: each profile has one in this WORK.
  cbor::Map Call(const std::string& profile, std::vector<std::string> words) const {
    words.insert(words.begin(), {"call", "--profile", profile, "-o", "json"});
    const Ran ran = Krux(words);
    const Result<cbor::Value> value = ParseJson(ran.out);
    if (!value || value->map() == nullptr) {
      ADD_FAILURE() << "not JSON: " << ran.out << ran.err;
      return {};
    }
    return *value->map();
  }

  static std::string Text(const cbor::Map& map, const char* key) {
    const cbor::Value* value = map.Find(key);
    return value != nullptr && value->text() != nullptr ? *value->text() : "";
  }
  static uint64_t Number(const cbor::Map& map, const char* key) {
    const cbor::Value* value = map.Find(key);
    return value != nullptr && value->uint() != nullptr ? *value->uint() : 0;
  }
  static std::string Verdict(const cbor::Map& reply) {
    return Text(reply, "verdict") + " " + std::to_string(Number(reply, "code"));
  }
  static bool Untrusted(const cbor::Map& reply) {
    const cbor::Value* legs = reply.Find("exposure");
    return legs != nullptr && legs->array() != nullptr &&
           std::ranges::find(*legs->array(), cbor::Value("untrusted_content")) !=
               legs->array()->end();
  }
  // The first record of a call, or, by the seq of its outcome, that.
  cbor::Map Record(uint64_t seq) const {
    const Ran shown = Krux({"audit", "show", std::to_string(seq), "-o", "json"});
    const Result<cbor::Value> value = ParseJson(shown.out);
    if (!value || value->map() == nullptr) return {};
    for (const cbor::Value& record : *value->map()->Find("records")->array()) {
      if (Number(*record.map(), "seq") == seq) return *record.map();
    }
    return {};
  }

  const PrivateGateway gateway_;
  std::string lib_;
};

TEST_F(Exposure, ReadThenAStrangersWordsThenAWayOutIsAllowAllowAsk) {
  const cbor::Map read = Call("one", {"fs.read", "file"});
  EXPECT_EQ(Verdict(read), "allow 0");
  const cbor::Map ingest = Call("one", {"test.ingest"});
  EXPECT_EQ(Verdict(ingest), "allow 0") << Text(ingest, "message");
  const cbor::Map send = Call("one", {"test.send", "to=somebody"});
  EXPECT_EQ(Verdict(send), "ask 75");
  const std::string read_seq = std::to_string(Number(read, "seq"));
  const std::string ingest_seq = std::to_string(Number(ingest, "seq"));
  EXPECT_NE(
      Text(send, "message")
          .find("private_data came with record " + read_seq +
                " (fs.read), untrusted_content came with record " + ingest_seq + " (test.ingest)"),
      std::string::npos)
      << Text(send, "message");
  const cbor::Map record = Record(Number(send, "seq"));
  EXPECT_EQ(Text(record, "kind"), "deferral");
  const cbor::Map& legs = *record.Find("inputs")->map()->Find("legs")->map();
  for (const auto& [leg, call] :
       {std::pair{"private_data", &read}, {"untrusted_content", &ingest}}) {
    const cbor::Array& source = *legs.Find(leg)->array();
    const cbor::Map earlier = Record(Number(*call, "seq"));
    EXPECT_EQ(source[0], *earlier.Find("call_id")) << leg;
    EXPECT_EQ(source[1], *call->Find("seq")) << leg;
    EXPECT_EQ(source[2], *earlier.Find("capability")) << leg;
  }
  EXPECT_EQ(Krux({"audit", "verify"}).exit, 0);
}

TEST_F(Exposure, AnotherOrderAnAttemptAndAProgramCountTheSame) {
  EXPECT_EQ(Verdict(Call("one", {"test.send"})), "allow 0") << "nothing was seen yet";
  EXPECT_EQ(Verdict(Call("one", {"test.ingest"})), "allow 0");
  EXPECT_EQ(Verdict(Call("one", {"fs.read", "missing"})), "allow 66");
  EXPECT_EQ(Verdict(Call("one", {"test.send"})), "ask 75") << "an attempt counts";
  EndSessions();
  const cbor::Map cat = Call("two", {"proc.exec", "--", "cat", "file"});
  EXPECT_EQ(Verdict(cat), "allow 0");
  EXPECT_EQ(Text(*cat.Find("stdout")->map(), "text"), "content");
  EXPECT_EQ(Verdict(Call("two", {"test.ingest"})), "allow 0");
  EXPECT_EQ(Verdict(Call("two", {"test.send"})), "ask 75");
  EndSessions();
  EXPECT_EQ(Verdict(Call("three", {"test.ingest"})), "allow 0");
  EXPECT_EQ(Verdict(Call("three", {"test.send"})), "allow 0") << "it holds nothing private";
  EXPECT_EQ(Verdict(Call("three", {"test.push"})), "ask 75") << "a stranger may have meant it";
  EXPECT_EQ(Verdict(Call("strict", {"fs.read", "file"})), "allow 0");
  EXPECT_EQ(Verdict(Call("strict", {"test.ingest"})), "allow 0");
  EXPECT_EQ(Verdict(Call("strict", {"test.send"})), "deny 76");
}

TEST_F(Exposure, AWrittenFileTellsTheNextSessionAlsoAfterEverythingWasKilled) {
  Call("one", {"test.ingest"});
  EXPECT_EQ(Verdict(Call("one", {"fs.write", "notes", "content=said by a stranger"})), "allow 0");
  EXPECT_TRUE(Untrusted(Call("two", {"fs.read", "file"}))) << "another profile is no clean slate";
  EndSessions();
  EXPECT_FALSE(Untrusted(Call("two", {"fs.read", "file"})));
  EXPECT_TRUE(Untrusted(Call("two", {"fs.read", "notes"})));
  // Every daemon dies, and the supervisor with them; what is left is the log.
  const pid_t kruxd = gateway_.Kruxd();
  ASSERT_GT(kruxd, 0);
  std::string stat = ReadFile("/proc/" + std::to_string(kruxd) + "/stat");
  const pid_t supervisor = std::atoi(stat.c_str() + stat.rfind(')') + 4);
  ASSERT_GT(supervisor, 1);
  std::vector<pid_t> all{supervisor, kruxd};
  for (const char* name : {"krux-auditd", "krux-mountd", "krux-spawnd"})
    all.push_back(gateway_.Daemon(name));
  for (const pid_t pid : all) {
    if (pid > 1) kill(pid, SIGKILL);
  }
  EXPECT_TRUE(Untrusted(Call("three", {"fs.read", "file"}))) << "nor is a restart";
  EndSessions();
  EXPECT_FALSE(Untrusted(Call("three", {"fs.read", "file"}))) << "a new session";
  const cbor::Map read = Call("three", {"fs.read", "notes"});
  EXPECT_EQ(Text(read, "text"), "said by a stranger");
  EXPECT_TRUE(Untrusted(read));
  EXPECT_EQ(Verdict(Call("three", {"test.send"})), "ask 75");
}

TEST_F(Exposure, LinksProgramsAndListingsLeadToLabelsToo) {
  ASSERT_EQ(symlink("notes", gateway_.Path("link").c_str()), 0);
  std::filesystem::create_directory(gateway_.Path("dir"));
  ASSERT_EQ(symlink("dir", gateway_.Path("way").c_str()), 0);
  Call("one", {"test.ingest"});
  EXPECT_EQ(Verdict(Call("one", {"fs.write", "notes", "content=x"})), "allow 0");
  const cbor::Map past = Call("one", {"fs.write", "way/notes", "content=x"});
  EXPECT_EQ(Verdict(past), "allow 77") << "its label would hang on another name";
  EXPECT_NE(Text(past, "message").find("dir/notes"), std::string::npos) << Text(past, "message");
  EndSessions();
  EXPECT_FALSE(Untrusted(Call("two", {"fs.stat", "file"})));
  const cbor::Map read = Call("two", {"fs.read", "link"});
  EXPECT_TRUE(Untrusted(read));
  EXPECT_NE(Record(Number(read, "outcome_seq")).Find("state_after"), nullptr);
  EndSessions();
  EXPECT_TRUE(Untrusted(Call("three", {"fs.list", "."}))) << "a stranger may have chosen the name";
  EndSessions();
  EXPECT_TRUE(Untrusted(Call("strict", {"proc.exec", "--", "true"})));
  EndSessions();
  EXPECT_TRUE(Untrusted(Call("net", {"fs.read", "file"})))
      << "that program could have written it, and could have read what is labelled";
}

// What plays the network is in the test builds alone.
TEST(Shipped, KnowsNothingThatStandsForTheNetwork) {
  const PrivateGateway gateway;
  for (const char* name : {"test.ingest", "test.send", "test.push"})
    EXPECT_EQ(gateway.Krux({"call", name}).exit, 66) << name;
  EXPECT_EQ(gateway.Krux({"cap", "ls"}).out.find("test."), std::string::npos);
}

}  // namespace
}  // namespace krux::tools
