// The operator changes policies under a gateway at work: `krux policy reload`, SIGHUP, mistakes,
// kills in the middle of it. Clients call all the while.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <thread>

#include "gateway/client/client.h"
#include "tests/tools/krux_process.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kClients = 8;
constexpr int kReloads = 20;
constexpr int kRules = 1'000;  // of all files together
constexpr int kFiles = 10;

class PolicyReload : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(Folder());
    chmod((gateway_.root() + "/config").c_str(), 0755);
    WriteFile(gateway_.Path("file"), "content");
    chmod(gateway_.Path("file").c_str(), 0644);
  }

  std::string Folder() const { return gateway_.root() + "/config/policies"; }
  Ran Krux(const std::vector<std::string>& words) const {
    return gateway_.Krux(words,
                         {.environment = {"KRUX_CONFIG=" + gateway_.root() + "/config/krux.toml"}});
  }
  Ran Start() const { return Krux({"gateway", "start", "-o", "json"}); }
  Ran Read(const std::string& profile = "team") const {
    return Krux({"call", "--profile", profile, "fs.read", "file"});
  }
  void WriteTeam(const std::string& level) const {
    WriteFile(Folder() + "/team.toml", "krux = 1\nname = \"team\"\n[levels]\nread_files = \"" +
                                           level + "\"\n[paths]\nread = [\"${WORK}/**\"]\n");
  }

  uint64_t Number(const std::string& key) const {
    const Result<cbor::Value> value = ParseJson(Krux({"status", "-o", "json"}).out);
    if (!value || value->map() == nullptr) return 0;
    const cbor::Value* number = value->map()->Find(key);
    return number != nullptr && number->uint() != nullptr ? *number->uint() : 0;
  }

  // The epoch of every decision, in the order of the log.
  std::vector<uint64_t> Epochs() const {
    std::vector<uint64_t> epochs;
    const std::string text = Krux({"audit", "cat", "-o", "jsonl"}).out;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const Result<cbor::Value> line = ParseJson(text.substr(at, end - at));
      at = end + 1;
      if (!line || line->map() == nullptr) continue;
      const cbor::Value* record = line->map()->Find("record");
      const cbor::Value* body =
          record == nullptr || record->map() == nullptr ? nullptr : record->map()->Find("7");
      const cbor::Value* epoch =
          body == nullptr || body->map() == nullptr ? nullptr : body->map()->Find("17");
      if (epoch != nullptr && epoch->uint() != nullptr) epochs.push_back(*epoch->uint());
    }
    return epochs;
  }

  const PrivateGateway gateway_;
};

// 1,000 rules in ten files; `team` reads the file in every version, and each version grants a
// little less than the one before.
void WriteRules(const std::string& folder, int version) {
  const std::string names[] = {"team", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
  for (const std::string& name : names) {
    std::string text =
        "krux = 1\nname = \"" + name +
        "\"\n[levels]\nread_files = \"always\"\n[paths]\nread = [\n\"${WORK}/file\",\n";
    for (int rule = version + 1; rule < kRules / kFiles + version; ++rule)
      text += "\"${WORK}/" + std::to_string(rule) + "/*.txt\",\n";
    if (name == "team") {
      text = text.substr(0, text.find("read = [")) + "read = [\n\"${WORK}/file\",\n";
      for (int rule = version + 1; rule < kRules / kFiles; ++rule)
        text += "\"${WORK}/" + std::to_string(rule) + "/*.txt\",\n";
    }
    WriteFile(folder + "/" + name + ".toml", text + "]\n");
  }
}

TEST_F(PolicyReload, TwentyTimesAThousandRulesUnderLoadAndNoCallIsRefused) {
  WriteRules(Folder(), 0);
  ASSERT_EQ(Start().exit, 0);
  std::atomic<bool> stop{false};
  std::atomic<int> calls{0}, refused{0};
  std::mutex mutex;
  std::string first_refusal;
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      auto client = gateway::Client::Connect(gateway_.Paths());
      ASSERT_TRUE(client.has_value()) << client.error().message;
      const auto work = gateway::ChooseWork(gateway_.work());
      ASSERT_TRUE(client->Open(*work, "team").has_value());
      while (!stop) {
        const auto reply = client->Call("fs.read", {{"path", gateway_.Path("file")}});
        ++calls;
        if (reply && reply->ok) continue;
        ++refused;
        const std::lock_guard lock(mutex);
        if (first_refusal.empty()) first_refusal = reply ? reply->message : reply.error().message;
      }
    });
  }
  auto admin = gateway::Client::ConnectAdmin(gateway_.Paths());
  ASSERT_TRUE(admin.has_value()) << admin.error().message;
  double slowest_ms = 0;
  for (int version = 1; version <= kReloads; ++version) {
    const int before = calls;
    while (calls < before + kClients) std::this_thread::yield();
    WriteRules(Folder(), version);
    const auto begin = Clock::now();
    const auto reply = admin->Reload();
    slowest_ms = std::max(slowest_ms,
                          std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    ASSERT_TRUE(reply.has_value()) << reply.error().message;
    EXPECT_EQ(reply->epoch, static_cast<uint64_t>(version) + 1);
    EXPECT_EQ(reply->narrowed, 1u) << "the eight clients share the session of their folder";
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(refused, 0) << first_refusal;
  const std::vector<uint64_t> epochs = Epochs();
  EXPECT_EQ(epochs.size(), static_cast<size_t>(calls));
  EXPECT_TRUE(std::ranges::is_sorted(epochs)) << "no decision goes back to former policies";
  EXPECT_EQ(epochs.back(), static_cast<uint64_t>(kReloads) + 1);
  EXPECT_EQ(Krux({"audit", "verify"}).exit, 0);
  printf("%d calls, %d reloads of %d rules, the slowest answered after %.1f ms\n", calls.load(),
         kReloads, kRules, slowest_ms);
}

TEST_F(PolicyReload, AMistakeIs78WithItsPlaceAndTheOldPoliciesStay) {
  WriteTeam("always");
  ASSERT_EQ(Start().exit, 0);
  EXPECT_EQ(Read().out, "content");
  WriteTeam("allways");
  Ran ran = Krux({"policy", "reload"});
  EXPECT_EQ(ran.exit, 78);
  EXPECT_NE(ran.err.find("team.toml:4:14: "), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("did you mean `always`?"), std::string::npos) << ran.err;
  EXPECT_EQ(Read().out, "content");
  EXPECT_EQ(Number("policy_epoch"), 1u);
  EXPECT_NE(Krux({"audit", "tail"}).out.find("policies refused"), std::string::npos);
  // Nobody hangs on what is no file either.
  fs::remove(Folder() + "/team.toml");
  ASSERT_EQ(mkfifo((Folder() + "/team.toml").c_str(), 0600), 0);
  ran = Krux({"policy", "reload"});
  EXPECT_EQ(ran.exit, 78);
  EXPECT_NE(ran.err.find("regular file"), std::string::npos) << ran.err;
  EXPECT_EQ(Read().out, "content");
  // A gateway that begins with such a folder says so and does not begin.
  ASSERT_EQ(Krux({"gateway", "stop"}).exit, 0);
  ran = Start();
  EXPECT_EQ(ran.exit, 78);
  EXPECT_NE(ran.err.find("regular file"), std::string::npos) << ran.err;
  fs::remove(Folder() + "/team.toml");
  WriteTeam("allways");
  ran = Start();
  EXPECT_EQ(ran.exit, 78);
  EXPECT_NE(ran.err.find("team.toml:4:14: "), std::string::npos) << ran.err;
}

TEST_F(PolicyReload, NarrowingBitesAtOnceAndWideningWaitsForANewSession) {
  WriteTeam("always");
  ASSERT_EQ(Start().exit, 0);
  EXPECT_EQ(Read().exit, 0);
  WriteTeam("never");
  EXPECT_EQ(Krux({"policy", "reload"}).exit, 0);
  Ran ran = Read();
  EXPECT_EQ(ran.exit, 77);
  EXPECT_NE(ran.err.find("team.toml:4 levels.read_files"), std::string::npos) << ran.err;
  WriteTeam("always");
  ran = Krux({"policy", "reload"});
  EXPECT_NE(ran.err.find("would gain and did not"), std::string::npos) << ran.err;
  EXPECT_EQ(Read().exit, 77);
  // Nor does a restart give it back.
  EXPECT_EQ(Krux({"gateway", "stop"}).exit, 0);
  EXPECT_EQ(Start().exit, 0);
  EXPECT_EQ(Read().exit, 77);
  EXPECT_EQ(Number("policy_epoch"), 3u) << "nor does the epoch fall";
}

TEST_F(PolicyReload, SighupAsksForItToo) {
  WriteTeam("always");
  ASSERT_EQ(Start().exit, 0);
  EXPECT_EQ(Read().exit, 0);
  WriteTeam("never");
  const std::string stat = ReadFile("/proc/" + std::to_string(Number("pid")) + "/stat");
  const pid_t supervisor = std::atoi(stat.substr(stat.rfind(')') + 4).c_str());
  ASSERT_GT(supervisor, 1);
  ASSERT_EQ(kill(supervisor, SIGHUP), 0);
  const auto end = Clock::now() + std::chrono::seconds(10);
  while (Number("policy_epoch") < 2 && Clock::now() < end) {
  }
  EXPECT_EQ(Read().exit, 77);
}

// What is in force outlives kruxd, whatever became of the files since.
TEST_F(PolicyReload, AFreshGenerationGoesOnWithWhatWasInForce) {
  WriteTeam("always");
  ASSERT_EQ(Start().exit, 0);
  WriteTeam("low_risk");
  EXPECT_EQ(Krux({"policy", "reload"}).exit, 0);
  EXPECT_EQ(Read().exit, 0);
  WriteTeam("nonsense");
  ASSERT_EQ(kill(static_cast<pid_t>(Number("pid")), SIGKILL), 0);
  EXPECT_EQ(Read().exit, 0);
  EXPECT_EQ(Number("policy_epoch"), 2u);
}

// A session whose window is over is followed by one that has seen as much and may spend no more.
TEST_F(PolicyReload, TheSuccessorOfASessionInheritsWhatItSawAndWhatIsLeft) {
  WriteFile(Folder() + "/team.toml",
            "krux = 1\nname = \"team\"\n[levels]\nread_files = \"always\"\n[paths]\nread = "
            "[\"${WORK}/**\"]\n[budget]\ncalls = 100\n[window]\nlength = \"2s\"\n");
  ASSERT_EQ(Start().exit, 0);
  const auto shown = [this] {
    const Result<cbor::Value> value = ParseJson(Krux({"session", "show", "-o", "json"}).out);
    return value && value->map() != nullptr ? *value->map() : cbor::Map();
  };
  const auto calls_left = [](const cbor::Map& session) {
    return *session.Find("left")->map()->Find("calls")->uint();
  };
  ASSERT_EQ(Read().exit, 0);
  const cbor::Map first = shown();
  const auto end = Clock::now() + std::chrono::seconds(20);
  cbor::Map now = first;
  uint64_t calls = 1;
  while (*now.Find("session") == *first.Find("session") && Clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    ASSERT_EQ(Read().exit, 0) << "the end of a window refuses nobody who opens again";
    ++calls;
    now = shown();
  }
  EXPECT_NE(*now.Find("session"), *first.Find("session"));
  EXPECT_EQ(calls_left(now), 100 - calls);
  const std::string exposure = Krux({"session", "show"}).out;
  EXPECT_NE(exposure.find("private_data"), std::string::npos) << exposure;
  EXPECT_EQ(Krux({"audit", "verify"}).exit, 0);
}

// Reloads, calls, kills and the end all at once: every answer is one of those the documents name,
// and the log is whole.
TEST_F(PolicyReload, RacesWithKillsAndTheEnd) {
  WriteTeam("always");
  ASSERT_EQ(Start().exit, 0);
  std::atomic<bool> stop{false};
  std::atomic<int> reloaded{0}, odd{0};
  std::thread operators([&] {
    for (int i = 0; !stop; ++i) {
      WriteTeam(i % 3 == 0 ? "allways" : i % 3 == 1 ? "always" : "low_risk");
      auto admin = gateway::Client::ConnectAdmin(gateway_.Paths());
      const auto reply = admin ? admin->Reload() : std::unexpected(admin.error());
      if (reply) ++reloaded;
      if (!reply && reply.error().code != ExitCode::kUnreachable &&
          reply.error().code != ExitCode::kConfig && reply.error().code != ExitCode::kAudit) {
        ADD_FAILURE() << reply.error().message;
        ++odd;
      }
    }
  });
  for (int i = 0; i < 5; ++i) {
    const int before = reloaded;
    while (reloaded < before + 3) std::this_thread::yield();
    const Ran ran = Read();
    EXPECT_TRUE(ran.exit == 0 || ran.exit == 69) << ran.exit << ran.err;
    const uint64_t kruxd = Number("pid");
    if (kruxd > 1) kill(static_cast<pid_t>(kruxd), SIGKILL);
  }
  const int before = reloaded;
  while (reloaded < before + 3) std::this_thread::yield();
  EXPECT_EQ(Krux({"gateway", "stop"}).exit, 0);
  stop = true;
  operators.join();
  WriteTeam("always");
  EXPECT_EQ(Start().exit, 0);
  EXPECT_EQ(Read().exit, 0);
  EXPECT_EQ(Krux({"audit", "verify"}).exit, 0);
  EXPECT_TRUE(std::ranges::is_sorted(Epochs()));
}

}  // namespace
}  // namespace krux::tools
