// New policies under a gateway at work: they come into force together or not at all, nobody's call
// is refused for it, and a session never gains.
#include <future>

#include "base/digest.h"
#include "tests/gateway/fake_world.h"

namespace krux::gateway {
namespace {

const std::string kInside = std::string(FakeWorld::kWork) + "/README.md";

// The policy `name`: reads `pattern` of WORK.
policy::PolicySource File(const std::string& name, const std::string& pattern = "**",
                          const std::string& level = "always") {
  return policy::OperatorFile(
      name + ".toml", "krux = 1\nname = \"" + name + "\"\n[levels]\nread_files = \"" + level +
                          "\"\n[paths]\nread = [\"${WORK}/" + pattern + "\"]\n");
}

GatewaySettings With(const std::vector<policy::PolicySource>& files) {
  GatewaySettings settings = FakeWorld::Quick();
  auto set = policy::PolicySet::Parse(files);
  EXPECT_TRUE(set.has_value()) << set.error().message;
  settings.policies = std::move(*set);
  return settings;
}

Result<uint64_t> Reload(FakeWorld& world, const std::vector<policy::PolicySource>& files) {
  Result<uint64_t> epoch = 0;
  world.OnLoop([&] { epoch = world.gateway->Reload(0, files); });
  return epoch;
}

ExitCode Read(Client& client) {
  const auto reply = client.Call("fs.read", {{"path", kInside}});
  return reply ? reply->code : reply.error().code;
}

std::vector<uint64_t> Epochs(FakeWorld& world) {
  std::vector<uint64_t> epochs;
  for (const audit::Kind kind : {audit::Kind::kIntent, audit::Kind::kDenial}) {
    for (const audit::Draft& draft : world.audit->Drafts(kind))
      epochs.push_back(*draft.body.Find(17u)->uint());
  }
  return epochs;
}

// Events of admin records.
std::vector<std::string> Admin(FakeWorld& world) {
  std::vector<std::string> events;
  for (const audit::Draft& draft : world.audit->Drafts(audit::Kind::kAdmin))
    events.push_back(*draft.body.Find(0u)->text());
  return events;
}

TEST(Reload, ANarrowedProfileBitesAtTheVeryNextDecision) {
  FakeWorld world(With({File("team")}));
  Client client = world.ConnectAndOpen("team");
  EXPECT_EQ(Read(client), ExitCode::kOk);
  EXPECT_EQ(Reload(world, {File("team", "**", "never")}).value(), 2u);
  EXPECT_EQ(Read(client), ExitCode::kDenied);
  EXPECT_EQ(Epochs(world), (std::vector<uint64_t>{1, 2}));
  EXPECT_NE(*world.audit->Drafts(audit::Kind::kIntent)[0].body.Find(7u)->bytes(),
            *world.audit->Drafts(audit::Kind::kDenial)[0].body.Find(7u)->bytes())
      << "the record names the policy it was decided under";
}

TEST(Reload, AWidenedProfileDoesNotWidenALiveSession) {
  FakeWorld world(With({File("team", "docs/**")}));
  Client client = world.ConnectAndOpen("team");
  EXPECT_EQ(Read(client), ExitCode::kDenied);
  ASSERT_TRUE(Reload(world, {File("team", "**")}).has_value());
  EXPECT_EQ(Read(client), ExitCode::kDenied);
  EXPECT_EQ(Read(client), ExitCode::kDenied);
  EXPECT_EQ(Epochs(world), (std::vector<uint64_t>{1, 2, 2}));
}

TEST(Reload, WhatWasTakenAwayDoesNotComeBack) {
  FakeWorld world(With({File("team")}));
  Client client = world.ConnectAndOpen("team");
  ASSERT_TRUE(Reload(world, {File("team", "docs/**")}).has_value());
  ASSERT_TRUE(Reload(world, {File("team")}).has_value());
  EXPECT_EQ(Read(client), ExitCode::kDenied);
}

TEST(Reload, AMistakeInOneFileChangesNothingAtAll) {
  FakeWorld world(With({File("team"), File("other")}));
  Client client = world.ConnectAndOpen("team");
  auto bad = File("zebra");
  bad.text += "wirte = []\n";
  const auto refused = Reload(world, {File("team", "**", "never"), bad});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ExitCode::kConfig);
  EXPECT_NE(refused.error().message.find("zebra.toml:7:1: "), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(Read(client), ExitCode::kOk);
  EXPECT_EQ(Epochs(world), std::vector<uint64_t>{1});
  EXPECT_EQ(Admin(world).back(), "policies refused");
  const Client others = world.ConnectAndOpen("other");
}

TEST(Reload, ACallAtWorkEndsAsItWasDecided) {
  FakeWorld world(With({File("team")}));
  Client client = world.ConnectAndOpen("team");
  world.spawn->hold_ready = true;
  std::future<ExitCode> call = std::async(std::launch::async, [&] { return Read(client); });
  ASSERT_GE(world.trace.Await("spawn"), 0);
  ASSERT_TRUE(Reload(world, {File("team", "**", "never")}).has_value());
  world.spawn->hold_ready = false;
  world.OnLoop([&] { world.spawn->ReleaseReady(); });
  EXPECT_EQ(call.get(), ExitCode::kOk);
  EXPECT_EQ(Read(client), ExitCode::kDenied);
}

// Between the decision and the sandbox lies the building of a template, and a reload makes a new
// one necessary: the call that waits for the old one still gets it.
TEST(Reload, ACallThatWaitsForItsTemplateEndsAsItWasDecided) {
  FakeWorld world(With({File("team")}));
  Client client = world.ConnectAndOpen("team");
  world.spawn->hold_template = true;
  std::future<ExitCode> call = std::async(std::launch::async, [&] { return Read(client); });
  ASSERT_GE(world.trace.Await("build template"), 0);
  ASSERT_TRUE(Reload(world, {File("team", "*")}).has_value());
  ASSERT_TRUE(Reload(world, {File("team", "R*")}).has_value());
  EXPECT_EQ(world.trace.IndexOf("drop templates"), -1) << "somebody waits for it";
  world.spawn->hold_template = false;
  world.OnLoop([&] { world.spawn->ReleaseTemplates(); });
  EXPECT_EQ(call.get(), ExitCode::kOk);
  EXPECT_GE(world.trace.Await("drop templates"), 0);
  EXPECT_EQ(Read(client), ExitCode::kOk) << "under a template of its own";
  EXPECT_EQ(world.trace.Count("build template"), 2);
}

TEST(Reload, ACallThatWaitsForItsTurnIsDecidedUnderTheNewPolicies) {
  GatewaySettings settings = With({File("team")});
  settings.limits.bounds.calls_per_session = 1;
  settings.limits.bounds.wait_ms = 5'000;
  FakeWorld world(std::move(settings));
  Client first = world.ConnectAndOpen("team");
  Client second = world.ConnectAndOpen("team");
  world.spawn->hold_ready = true;
  std::future<ExitCode> runs = std::async(std::launch::async, [&] { return Read(first); });
  ASSERT_GE(world.trace.Await("spawn"), 0);
  std::future<ExitCode> waits = std::async(std::launch::async, [&] { return Read(second); });
  Client watcher = world.Connect();
  while (watcher.Status()->calls_waiting == 0) std::this_thread::yield();
  ASSERT_TRUE(Reload(world, {File("team", "**", "never")}).has_value());
  world.spawn->hold_ready = false;
  world.OnLoop([&] { world.spawn->ReleaseReady(); });
  EXPECT_EQ(runs.get(), ExitCode::kOk);
  EXPECT_EQ(waits.get(), ExitCode::kDenied);
}

TEST(Reload, ASessionWhoseProfileIsGoneStandsStillUntilItIsBack) {
  FakeWorld world(With({File("team")}));
  Client client = world.ConnectAndOpen("team");
  EXPECT_EQ(Read(client), ExitCode::kOk);
  ASSERT_TRUE(Reload(world, {}).has_value());
  const auto reply = client.Call("fs.read", {{"path", kInside}});
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->code, ExitCode::kDenied);
  EXPECT_NE(reply->message.find("`team` was taken away"), std::string::npos) << reply->message;
  ASSERT_TRUE(Reload(world, {File("team", "docs/**")}).has_value());
  EXPECT_EQ(Read(client), ExitCode::kDenied) << "and no more than the file says now";
  ASSERT_TRUE(Reload(world, {}).has_value());
  ASSERT_TRUE(Reload(world, {File("team")}).has_value());
  EXPECT_EQ(Read(client), ExitCode::kDenied) << "nor than the session had";
  EXPECT_EQ(client.Call("fs.read", {{"path", kInside}})->exposure,
            std::vector<std::string>{"private_data"});
}

TEST(Reload, TheCeilingMustStay) {
  GatewaySettings settings = With({File("top")});
  settings.ceiling = "top";
  FakeWorld world(std::move(settings));
  const auto refused = Reload(world, {File("team")});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("`top`"), std::string::npos) << refused.error().message;
  const Client client = world.ConnectAndOpen();
}

TEST(Reload, APolicyThatTheLogCannotKeepIsRefusedBeforeItDecides) {
  FakeWorld world(With({}));
  auto large = File("team");
  large.text += "# " + std::string(audit::kMaxPolicyBytes, 'x') + "\n";
  const auto refused = Reload(world, {large});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ExitCode::kConfig);
  EXPECT_NE(refused.error().message.find("60 KiB"), std::string::npos) << refused.error().message;
}

// A file that goes to and fro adds clauses at most once; one that is different each time ends the
// session's calls before the log could lose track of what it may do.
TEST(Reload, ASessionDoesNotGrowWithItsHistory) {
  FakeWorld world(With({File("team")}));
  Client client = world.ConnectAndOpen("team");
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(Reload(world, {File("team", "a*")}).has_value());
    ASSERT_TRUE(Reload(world, {File("team", "b*")}).has_value());
  }
  size_t policies = world.audit->Drafts(audit::Kind::kPolicy).size();
  EXPECT_LE(policies, 3u) << "the file, its first successor, and both together";
  ExitCode code = ExitCode::kOk;
  for (int round = 0; round < 1'000 && code != ExitCode::kConfig; ++round) {
    auto file = File("team", "x" + std::to_string(round) + "*");
    file.text += "# " + std::string(4'000, 'x') + "\n";
    ASSERT_TRUE(Reload(world, {file}).has_value());
    const auto reply = client.Call("fs.read", {{"path", kInside}});
    ASSERT_EQ(reply->code, ExitCode::kDenied);
    if (reply->message.find("too often") != std::string::npos) code = ExitCode::kConfig;
  }
  EXPECT_EQ(code, ExitCode::kConfig);
}

// What an operator's connection sends and hears.
class Operators {
 public:
  explicit Operators(FakeWorld& world) : client_(Client::Adopt(world.ConnectRaw(kAdminDoor))) {}
  Result<ReloadReply> Reload() { return client_->Reload(); }

 private:
  Result<Client> client_;
};

TEST(Reload, AnOperatorHearsWhatBecameOfIt) {
  FakeWorld world(With({File("team")}));
  Client narrowed = world.ConnectAndOpen("team");
  std::vector<policy::PolicySource> files;
  world.OnLoop([&] {
    world.gateway->Report({.on_clients = {},
                           .on_stop = {},
                           .on_silent = {},
                           .on_unable = {},
                           .on_reload = [&](uint64_t tag) {
                             (void)world.gateway->Reload(tag, files);
                             return true;
                           }});
  });
  Operators admin(world);
  files = {File("team", "docs/**"), File("other")};
  auto reply = admin.Reload();
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  EXPECT_EQ(reply->epoch, 2u);
  EXPECT_EQ(reply->policies, (std::vector<std::string>{"other", "team"}));
  EXPECT_EQ(reply->narrowed, 1u);
  EXPECT_EQ(reply->kept, 0u);
  files = {File("team"), File("other")};
  reply = admin.Reload();
  EXPECT_EQ(reply->kept, 1u);
  EXPECT_EQ(reply->narrowed, 0u);
  reply = admin.Reload();
  EXPECT_EQ(reply->kept, 0u) << "nothing has changed";
  files = {};
  reply = admin.Reload();
  EXPECT_EQ(reply->closed, 1u);
  files = {policy::OperatorFile("a.toml", "krux = 2\n")};
  reply = admin.Reload();
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ExitCode::kConfig);
  EXPECT_NE(reply.error().message.find("a.toml:1:"), std::string::npos) << reply.error().message;
  EXPECT_NE(reply.error().message.find("nothing has changed"), std::string::npos);
  EXPECT_EQ(narrowed.Status()->policy_epoch, 5u);
}

TEST(Reload, ASupervisorThatSaysNothingChangesNothingAndALateAnswerNeither) {
  FakeWorld world(With({File("team")}));
  uint64_t asked = 0;
  world.OnLoop([&] {
    world.gateway->Report({.on_clients = {},
                           .on_stop = {},
                           .on_silent = {},
                           .on_unable = {},
                           .on_reload = [&](uint64_t tag) {
                             asked = tag;
                             return true;
                           }});
  });
  Operators admin(world);
  const auto reply = admin.Reload();
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ExitCode::kUnreachable);
  Result<uint64_t> late = 0;
  world.OnLoop([&] {
    late = world.gateway->Reload(asked, std::vector<policy::PolicySource>{File("team", "none")});
  });
  EXPECT_FALSE(late.has_value());
  Client client = world.ConnectAndOpen("team");
  EXPECT_EQ(Read(client), ExitCode::kOk);
}

TEST(Reload, AgentsCannotAskForIt) {
  FakeWorld world;
  Client agent = world.Connect();
  const auto reply = agent.Reload();
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ExitCode::kDenied);
}

}  // namespace
}  // namespace krux::gateway
