// Exposure through a whole gateway: what a session has seen holds against what it may still do, the
// record names the calls that brought it, and the files that it writes carry it to others. What
// stands for the network is in the test build of the catalog alone.
#include <algorithm>

#include "gateway/call_records.h"
#include "tests/gateway/fake_world.h"

namespace krux::gateway {
namespace {

const std::string kWork = FakeWorld::kWork;
const std::string kFile = kWork + "/a.md";

// The kernel, for sessions that may use what stands for the network, whatever their profile.
policy::Decision WithNetwork(const policy::State& state, const policy::Call& call,
                             const policy::Footprint& footprint, uint64_t now_ms) {
  policy::State wide = state;
  krux_policy_set_level(&wide.kernel.policy, KRUX_DIM_WEB_FETCH, KRUX_LEVEL_ALWAYS);
  krux_policy_set_level(&wide.kernel.policy, KRUX_DIM_GIT_PUSH, KRUX_LEVEL_ALWAYS);
  wide.kernel.policy.obligations = 0;
  return policy::Decide(wide, call, footprint, now_ms);
}

policy::Decision WithNetworkAndNoApproval(const policy::State& state, const policy::Call& call,
                                          const policy::Footprint& footprint, uint64_t now_ms) {
  policy::State strict = state;
  strict.kernel.policy.trifecta = KRUX_DENY;
  strict.kernel.policy.trusted_action = KRUX_DENY;
  return WithNetwork(strict, call, footprint, now_ms);
}

GatewaySettings Settings() {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.decide = &WithNetwork;
  return settings;
}

Reply Call(Client& client, const std::string& capability, cbor::Map args = {}) {
  auto reply = client.Call(capability, args);
  if (!reply) {
    ADD_FAILURE() << capability << ": " << reply.error().message;
    return {};
  }
  return std::move(*reply);
}

Reply Read(Client& client, const std::string& path = kFile) {
  return Call(client, "fs.read", {{"path", path}});
}
Reply Write(Client& client, const std::string& path = kFile) {
  return Call(client, "fs.write", {{"path", path}, {"content", "x"}});
}

bool Has(const Reply& reply, const std::string& leg) {
  return std::ranges::find(reply.exposure, leg) != reply.exposure.end();
}

const cbor::Value* Input(const audit::Draft& draft, const char* key) {
  return draft.body.Find(10u)->map()->Find(key);
}

// A result that says which file it is about.
UniqueFd ResultAbout(const std::string& path) {
  const cbor::Bytes meta = cbor::Encode(cbor::Map{{"code", 0u},
                                                  {"data", cbor::Map{{"path", path}}},
                                                  {"message", ""},
                                                  {"limit", 0u},
                                                  {"truncated", false}});
  return MakeResult({sandbox::kResultMagic, static_cast<uint32_t>(meta.size()), 0}, meta, "");
}

TEST(Exposure, TheThreeLegsMeetAndTheRecordNamesTheTwoCallsBefore) {
  FakeWorld world(Settings());
  Client client = world.ConnectAndOpen("local_dev");
  const Reply read = Read(client), ingest = Call(client, "test.ingest");
  EXPECT_EQ(read.verdict, "allow");
  EXPECT_EQ(ingest.verdict, "allow");
  EXPECT_EQ(ingest.exposure, (std::vector<std::string>{"private_data", "untrusted_content"}));
  const Reply send = Call(client, "test.send");
  EXPECT_EQ(send.code, ExitCode::kAsk);
  EXPECT_EQ(send.verdict, "ask");
  EXPECT_NE(send.rule.find("trifecta"), std::string::npos) << send.rule;
  EXPECT_NE(send.message.find("private_data came with record " + std::to_string(read.seq) +
                              " (fs.read), untrusted_content came with record " +
                              std::to_string(ingest.seq) + " (test.ingest)"),
            std::string::npos)
      << send.message;
  const auto intents = world.audit->Drafts(audit::Kind::kIntent);
  const auto asked = world.audit->Drafts(audit::Kind::kDeferral);
  ASSERT_EQ(intents.size(), 2u);
  ASSERT_EQ(asked.size(), 1u);
  const cbor::Value* legs = Input(asked[0], "legs");
  ASSERT_NE(legs, nullptr);
  const auto source = [&](const char* leg) { return *legs->map()->Find(leg)->array(); };
  EXPECT_EQ(source("private_data"), (cbor::Array{*intents[0].body.Find(0u), read.seq, "fs.read"}));
  EXPECT_EQ(source("untrusted_content"),
            (cbor::Array{*intents[1].body.Find(0u), ingest.seq, "test.ingest"}));
  EXPECT_FALSE(Has(send, "exfil_vector")) << "what was not allowed did not happen";
}

TEST(Exposure, InEveryOrderTheOneThatWouldLetDataOutIsAsked) {
  std::vector<std::string> order{"fs.read", "test.ingest", "test.send"};
  std::ranges::sort(order);
  do {
    FakeWorld world(Settings());
    Client client = world.ConnectAndOpen("local_dev");
    for (size_t i = 0; i < order.size(); ++i) {
      const Reply reply = order[i] == "fs.read" ? Read(client) : Call(client, order[i]);
      const bool last = order[i] == "test.send" && i == 2;
      EXPECT_EQ(reply.verdict, last ? "ask" : "allow") << order[i] << " as number " << i;
    }
    EXPECT_EQ(Call(client, "test.send").verdict, "ask") << "now they have met";
  } while (std::ranges::next_permutation(order).found);
}

TEST(Exposure, AnAttemptCountsAsMuchAsASuccess) {
  FakeWorld world(Settings());
  Client client = world.ConnectAndOpen("local_dev");
  world.OnLoop(
      [&] { world.spawn->make_result = [] { return GoodResult(ExitCode::kNotFound, ""); }; });
  EXPECT_EQ(Read(client).code, ExitCode::kNotFound);
  EXPECT_EQ(Call(client, "test.ingest").code, ExitCode::kNotFound);
  EXPECT_EQ(Call(client, "test.send").code, ExitCode::kAsk);
}

// A program is taken to have read what its sandbox would let it read.
TEST(Exposure, AProgramBringsWhatItsSandboxLetsItSee) {
  FakeWorld world(Settings());
  Client client = world.ConnectAndOpen("local_dev");
  EXPECT_EQ(Call(client, "proc.exec", {{"argv", cbor::Array{"cat", "key"}}}).verdict, "allow");
  EXPECT_EQ(Call(client, "test.ingest").verdict, "allow");
  const Reply send = Call(client, "test.send");
  EXPECT_EQ(send.verdict, "ask");
  EXPECT_NE(send.message.find("(proc.exec)"), std::string::npos) << send.message;
}

TEST(Exposure, WhereNobodyMayApproveItIsDeniedByWhatTheSessionHasSeen) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.decide = &WithNetworkAndNoApproval;
  FakeWorld world(std::move(settings));
  Client client = world.ConnectAndOpen("local_dev");
  Read(client);
  Call(client, "test.ingest");
  const Reply send = Call(client, "test.send");
  EXPECT_EQ(send.code, ExitCode::kExposure);
  EXPECT_EQ(send.verdict, "deny");
  const auto denials = world.audit->Drafts(audit::Kind::kDenial);
  ASSERT_EQ(denials.size(), 1u);
  EXPECT_NE(Input(denials[0], "legs"), nullptr);
}

TEST(Exposure, WhatAStrangerSaidBringsAboutNothingThatLasts) {
  FakeWorld world(Settings());
  Client client = world.ConnectAndOpen("local_dev");
  EXPECT_EQ(Call(client, "test.push").verdict, "allow");
  const Reply ingest = Call(client, "test.ingest");
  const Reply push = Call(client, "test.push");
  EXPECT_EQ(push.verdict, "ask");
  EXPECT_NE(push.rule.find("trusted_action"), std::string::npos) << push.rule;
  EXPECT_NE(push.message.find("untrusted_content came with record " + std::to_string(ingest.seq)),
            std::string::npos)
      << push.message;
  EXPECT_EQ(push.message.find("private_data came"), std::string::npos) << push.message;
}

TEST(Labels, AFileThatWasWrittenTellsTheNextSession) {
  FakeWorld world(Settings());
  Client writer = world.ConnectAndOpen("local_dev"), reader = world.ConnectAndOpen("read_only");
  Write(writer, kWork + "/clean.md");
  Call(writer, "test.ingest");
  Write(writer);
  const auto intents = world.audit->Drafts(audit::Kind::kIntent);
  ASSERT_EQ(intents.size(), 3u);
  EXPECT_EQ(Input(intents[0], "labels"), nullptr);
  ASSERT_NE(Input(intents[2], "labels"), nullptr) << "before the file is written";
  EXPECT_EQ(Input(intents[2], "work")->bytes()->size(), 16u);
  Read(reader, kWork + "/clean.md");
  Read(reader);
  const auto reads = world.audit->Drafts(audit::Kind::kIntent);
  ASSERT_EQ(reads.size(), 5u);
  EXPECT_EQ(*Input(reads[3], "contribution")->uint(), policy::kPrivateData);
  EXPECT_EQ(*Input(reads[4], "contribution")->uint(),
            policy::kPrivateData | policy::kUntrustedContent);
}

TEST(Exposure, IsOneForAllProfilesOfAUserInOneWorkspace) {
  FakeWorld world(Settings());
  Client writer = world.ConnectAndOpen("local_dev"), reader = world.ConnectAndOpen("read_only");
  EXPECT_FALSE(Has(Read(reader), "untrusted_content"));
  const Reply ingest = Call(writer, "test.ingest");
  EXPECT_TRUE(Has(Read(reader), "untrusted_content")) << "another profile is no clean slate";
  const Reply send = Call(writer, "test.send");
  EXPECT_EQ(send.verdict, "ask") << "the other session has read private data";
  EXPECT_NE(send.message.find("untrusted_content came with record " + std::to_string(ingest.seq)),
            std::string::npos)
      << send.message;
}

TEST(Labels, SurviveTheGatewayThatMadeThem) {
  cbor::Value work, labels;
  {
    FakeWorld world(Settings());
    Client writer = world.ConnectAndOpen("local_dev");
    Call(writer, "test.ingest");
    Write(writer);
    const auto intents = world.audit->Drafts(audit::Kind::kIntent);
    work = *Input(intents.back(), "work");
    labels = *Input(intents.back(), "labels");
  }
  FakeWorld world(Settings());
  world.OnLoop([&] { world.gateway->labels().Restore(*work.bytes(), *labels.array()); });
  Client reader = world.ConnectAndOpen("read_only");
  EXPECT_FALSE(Has(Read(reader, kWork + "/clean.md"), "untrusted_content"));
  EXPECT_TRUE(Has(Read(reader), "untrusted_content"));
}

// Regression: the second write left its label to the intent of the first, which was never durable.
TEST(Labels, AWriteWhoseRecordFailedLeavesItsLabelToTheNext) {
  FakeWorld world(Settings());
  Client writer = world.ConnectAndOpen("local_dev");
  Call(writer, "test.ingest");
  world.audit->fail_intents = true;
  EXPECT_EQ(Write(writer).code, ExitCode::kAudit);
  world.audit->fail_intents = false;
  Write(writer);
  EXPECT_NE(Input(world.audit->Drafts(audit::Kind::kIntent).back(), "labels"), nullptr);
  Write(writer);
  EXPECT_EQ(Input(world.audit->Drafts(audit::Kind::kIntent).back(), "labels"), nullptr);
}

TEST(Labels, AProgramThatMeetsOnePassesItOnToAllThatItMayWrite) {
  FakeWorld world(Settings());
  Client writer = world.ConnectAndOpen("local_dev"), reader = world.ConnectAndOpen("read_only");
  Call(writer, "test.ingest");
  Call(writer, "proc.exec", {{"argv", cbor::Array{"make"}}});
  EXPECT_TRUE(Has(Read(reader, kWork + "/anything"), "untrusted_content"));
}

// The decision knew another path than the one that the worker found.
TEST(Labels, AFileBehindALinkTellsAsMuch) {
  FakeWorld world(Settings());
  Client writer = world.ConnectAndOpen("local_dev"), reader = world.ConnectAndOpen("read_only");
  Call(writer, "test.ingest");
  Write(writer);
  world.OnLoop([&] { world.spawn->make_result = [] { return ResultAbout(kFile); }; });
  const Reply read = Read(reader, kWork + "/link");
  EXPECT_TRUE(Has(read, "untrusted_content"));
  const auto outcomes = world.audit->Drafts(audit::Kind::kOutcome);
  const cbor::Value* state = outcomes.back().body.Find(10u);
  ASSERT_NE(state, nullptr) << "its intent said less";
  EXPECT_EQ(*state->map()->Find(0u), cbor::Value(3u));
  EXPECT_EQ(outcomes.front().body.Find(10u), nullptr);
}

class Meanwhile : public testing::Test {
 protected:
  // A call is at work in a session of `profile` while another one hears what a stranger says and
  // writes kFile; returns what the call answers.
  Reply Beside(const std::string& profile, const std::string& capability, const cbor::Map& args) {
    Client other = world_.ConnectAndOpen(profile);
    world_.spawn->hold_done = true;
    Reply reply;
    const size_t from = world_.trace.size();
    std::thread caller([&] { reply = Call(other, capability, args); });
    EXPECT_GE(world_.trace.Await("go", from), 0);
    world_.spawn->hold_done = false;
    Call(writer_, "test.ingest");
    Write(writer_);
    world_.OnLoop([&] { world_.spawn->FinishHeld(); });
    caller.join();
    return reply;
  }

  FakeWorld world_{Settings()};
  Client writer_ = world_.ConnectAndOpen("local_dev");
};

TEST_F(Meanwhile, WhoReadsAFileThatIsBeingWrittenHasSeenIt) {
  EXPECT_TRUE(Has(Beside("read_only", "fs.read", {{"path", kFile}}), "untrusted_content"));
  const auto outcomes = world_.audit->Drafts(audit::Kind::kOutcome);
  EXPECT_NE(outcomes.back().body.Find(10u), nullptr);
}

TEST_F(Meanwhile, WhoReadsAnotherHasNot) {
  EXPECT_FALSE(
      Has(Beside("read_only", "fs.read", {{"path", kWork + "/b.md"}}), "untrusted_content"));
}

TEST_F(Meanwhile, AProgramThatRunsHasSeenItAndLabelsWhatItMayWrite) {
  Beside("local_dev", "proc.exec", {{"argv", cbor::Array{"make"}}});
  const auto intents = world_.audit->Drafts(audit::Kind::kIntent);
  const cbor::Array labels = *Input(intents.back(), "labels")->array();
  const std::string tree = cbor::Diagnostic(labels.back());
  EXPECT_TRUE(tree.ends_with("83'") || tree.ends_with("82'"))
      << "in the intent of the write, a tree: " << tree;
  Client third = world_.ConnectAndOpen("read_only");
  EXPECT_TRUE(Has(Read(third, kWork + "/b.md"), "untrusted_content"));
}

}  // namespace
}  // namespace krux::gateway
