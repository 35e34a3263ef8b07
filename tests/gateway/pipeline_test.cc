// One call, seen from the wire: what comes before what, and what a failing part leaves the client
// with.
#include <fcntl.h>

#include "tests/gateway/fake_world.h"

namespace krux::gateway {
namespace {

const std::string kInside = std::string(FakeWorld::kWork) + "/README.md";

Result<Reply> Read(Client& client, const std::string& path = kInside) {
  return client.Call("fs.read", {{"path", path}});
}

uint64_t StatusOf(const audit::Draft& outcome) { return *outcome.body.Find(2u)->uint(); }
constexpr uint64_t Code(audit::Status status) { return static_cast<uint64_t>(status); }

TEST(Pipeline, AReadComesThroughWithBytesAndBothRecords) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  const auto reply = Read(client);
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  EXPECT_EQ(reply->code, ExitCode::kOk) << reply->message;
  EXPECT_TRUE(reply->ok);
  EXPECT_EQ(reply->verdict, "allow");
  EXPECT_EQ(reply->output.ReadAll().value(), "hello");
  EXPECT_GT(reply->seq, 0u);
  EXPECT_GT(reply->outcome_seq, reply->seq);
  EXPECT_EQ(reply->exposure, std::vector<std::string>{"private_data"});
  const auto outcomes = world.audit->Drafts(audit::Kind::kOutcome);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(StatusOf(outcomes[0]), Code(audit::Status::kOk));
  EXPECT_EQ(*outcomes[0].body.Find(1u)->uint(), reply->seq);
}

TEST(Pipeline, TheSandboxIsBuiltWhileTheDiskWorksButGoWaitsForTheIntent) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.audit->hold_intents = true;
  std::thread caller([&] {
    const auto reply = Read(client);
    world.trace.Add("reply");
    EXPECT_TRUE(reply.has_value());
  });
  ASSERT_GE(world.trace.Await("ready"), 0) << "the sandbox must not wait for the intent";
  EXPECT_EQ(world.trace.IndexOf("go"), -1);
  world.OnLoop([&] { world.audit->Release(); });
  caller.join();
  EXPECT_LT(world.trace.IndexOf("spawn"), world.trace.IndexOf("ack intent"));
  EXPECT_LT(world.trace.IndexOf("ack intent"), world.trace.IndexOf("go"));
  EXPECT_LT(world.trace.IndexOf("done"), world.trace.IndexOf("append outcome"));
  EXPECT_LT(world.trace.IndexOf("ack outcome"), world.trace.IndexOf("reply"));
}

TEST(Pipeline, ADenialNamesOneRuleIsRecordedFirstAndSpawnsNothing) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  const auto reply = Read(client, "/etc/shadow");
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->code, ExitCode::kDenied);
  EXPECT_EQ(reply->verdict, "deny");
  EXPECT_NE(reply->rule.find("paths.read"), std::string::npos) << reply->rule;
  EXPECT_GT(reply->seq, 0u);
  EXPECT_EQ(reply->outcome_seq, 0u);
  EXPECT_EQ(world.trace.IndexOf("spawn"), -1);
  EXPECT_EQ(world.trace.IndexOf("build template"), -1);
  const auto denials = world.audit->Drafts(audit::Kind::kDenial);
  ASSERT_EQ(denials.size(), 1u);
  EXPECT_EQ(denials[0].body.Find(6u)->array()->size(), 1u);
}

TEST(Pipeline, ADenialThatCannotBeRecordedIsNotADenialBut74) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.audit->fail_denials = true;
  const auto reply = Read(client, "/etc/shadow");
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->code, ExitCode::kAudit);
}

TEST(Pipeline, AnAskIsRecordedAsDeferralAndParksNothing) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.decide = [](const policy::State& state, const policy::Call&,
                              const policy::Footprint&, uint64_t) {
    return policy::Decision{.verdict = policy::Verdict::kAsk,
                            .reasons = {{policy::Component::kLevel, policy::Verdict::kAsk,
                                         "test:1 levels", "waits for an approval"}},
                            .next = state};
  };
  FakeWorld world(settings);
  Client client = world.ConnectAndOpen();
  const auto reply = Read(client);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->code, ExitCode::kAsk);
  EXPECT_EQ(reply->verdict, "ask");
  EXPECT_EQ(world.audit->Drafts(audit::Kind::kDeferral).size(), 1u);
  EXPECT_EQ(world.trace.IndexOf("spawn"), -1);
  EXPECT_EQ(client.Status()->calls_in_flight, 0u);
}

TEST(Pipeline, ASilentLogMeans74NoByteACancelledWorkerAndALateCancelledOutcome) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.audit->silent = true;
  const auto reply = Read(client);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->code, ExitCode::kAudit);
  EXPECT_EQ(reply->bytes, 0u);
  EXPECT_TRUE(reply->data.is_null());
  EXPECT_GE(world.trace.Await("cancel"), 0);
  EXPECT_EQ(world.trace.IndexOf("go"), -1);
  EXPECT_EQ(client.Status()->audit, "silent");
  EXPECT_EQ(client.Status()->calls_in_flight, 0u);

  world.audit->silent = false;
  world.OnLoop([&] { world.audit->Release(); });
  ASSERT_GE(world.trace.Await("ack outcome"), 0);
  const auto outcomes = world.audit->Drafts(audit::Kind::kOutcome);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(StatusOf(outcomes[0]), Code(audit::Status::kCancelled));
  EXPECT_EQ(world.trace.IndexOf("go"), -1);
  EXPECT_EQ(Read(client)->code, ExitCode::kOk) << "the log is back: calls run again";
}

TEST(Pipeline, ADeadLogMeans74ForTheCallInFlightAndForEveryLaterOne) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.spawn->hold_done = true;
  std::thread caller([&] {
    const auto reply = Read(client);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->code, ExitCode::kAudit);
    EXPECT_EQ(reply->bytes, 0u);
  });
  ASSERT_GE(world.trace.Await("go"), 0);
  world.OnLoop([&] { world.audit->Die(); });
  caller.join();
  EXPECT_GE(world.trace.Await("cancel"), 0) << "the worker must not go on unrecorded";
  const size_t before = world.trace.size();
  EXPECT_EQ(Read(client)->code, ExitCode::kAudit);
  EXPECT_EQ(Read(client, "/etc/shadow")->code, ExitCode::kAudit);
  EXPECT_EQ(world.trace.IndexOf("go", before), -1);
  EXPECT_EQ(client.Status()->audit, "gone");
}

TEST(Pipeline, AResultWhoseOutcomeCannotBeRecordedIsWithheld) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.audit->fail_outcomes = true;
  const auto reply = Read(client);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->code, ExitCode::kAudit);
  EXPECT_EQ(reply->bytes, 0u);
  EXPECT_TRUE(reply->data.is_null());
  EXPECT_EQ(reply->output.size(), 0u);
  EXPECT_GT(reply->seq, 0u);
}

TEST(Pipeline, AFailedLayerIs71NamesTheLayerAndIsRecordedAsSetupFailed) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.spawn->fail_spawn = true;
  const auto reply = Read(client);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->code, ExitCode::kSandbox);
  EXPECT_NE(reply->message.find("`landlock`"), std::string::npos) << reply->message;
  EXPECT_EQ(world.trace.IndexOf("go"), -1);
  const auto outcomes = world.audit->Drafts(audit::Kind::kOutcome);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(StatusOf(outcomes[0]), Code(audit::Status::kSetupFailed));
}

TEST(Pipeline, ATreeThatThePolicyGivesAndThatIsNotThereIsNamed) {
  FakeWorld world;
  Client client = world.ConnectAndOpen("test_runner");
  world.spawn->fail_spawn = true;
  world.spawn->fail_errno = ENOENT;
  const auto run = client.Call("proc.exec", {{"argv", cbor::Array{"make", "test"}}});
  ASSERT_TRUE(run.has_value());
  EXPECT_EQ(run->code, ExitCode::kNotFound) << run->message;
  EXPECT_NE(run->message.find("`" + std::string(FakeWorld::kWork) + "/build`"), std::string::npos)
      << run->message;
  EXPECT_EQ(Read(client)->code, ExitCode::kSandbox) << "WORK itself is no such tree";
}

TEST(Pipeline, AFailedTemplateIs71AndTriedAgainByTheNextCall) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.spawn->fail_template = true;
  EXPECT_EQ(Read(client)->code, ExitCode::kSandbox);
  world.spawn->fail_template = false;
  EXPECT_EQ(Read(client)->code, ExitCode::kOk);
  EXPECT_EQ(Read(client)->code, ExitCode::kOk);
  EXPECT_EQ(world.trace.Count("build template"), 2) << "a template is built once per session";
}

TEST(Pipeline, ACallWhoseTemplateLostItsMasksStartsOnceMoreFromANewOne) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  EXPECT_EQ(Read(client)->code, ExitCode::kOk);
  world.spawn->stale = 2;
  EXPECT_EQ(Read(client)->code, ExitCode::kOk);
  EXPECT_EQ(world.trace.Count("build template"), 3);
  EXPECT_EQ(world.trace.Count("go"), 2) << "nothing ran twice";
  world.spawn->stale = 1000;
  const auto reply = Read(client);
  EXPECT_EQ(reply->code, ExitCode::kSandbox) << "and not for ever";
  EXPECT_NE(reply->message.find("nothing ran"), std::string::npos) << reply->message;
  world.spawn->stale = 0;
  EXPECT_EQ(Read(client)->code, ExitCode::kOk);
}

TEST(Pipeline, ASecretInSightEndsTheCallWithholdsItsOutputAndIsRecordedBeforeIt) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.spawn->lose_masks = true;
  const auto reply = Read(client);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->code, ExitCode::kFailed);
  EXPECT_EQ(reply->bytes, 0u);
  EXPECT_TRUE(reply->data.is_null() || reply->data == cbor::Value(cbor::Map()));
  EXPECT_NE(reply->message.find("`/w/.env` is secret"), std::string::npos) << reply->message;
  EXPECT_NE(reply->message.find("withheld"), std::string::npos) << reply->message;
  const auto outcomes = world.audit->Drafts(audit::Kind::kOutcome);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(StatusOf(outcomes[0]), Code(audit::Status::kKilled));
  const auto sessions = world.audit->Drafts(audit::Kind::kSession);
  ASSERT_FALSE(sessions.empty());
  EXPECT_EQ(*sessions.back().body.Find(1u), cbor::Value("secret_mask_lost"));
  EXPECT_EQ(*sessions.back().body.Find(2u)->map()->Find("calls"), cbor::Value(1u));
  world.spawn->lose_masks = false;
  EXPECT_EQ(Read(client)->code, ExitCode::kOk);
  EXPECT_EQ(world.trace.Count("build template"), 2) << "the old template is not used again";
}

TEST(Pipeline, ASandboxThatIsNeverReadyIs71AndCancelled) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.spawn->hold_ready = true;
  EXPECT_EQ(Read(client)->code, ExitCode::kSandbox);
  EXPECT_GE(world.trace.Await("cancel"), 0);
  EXPECT_EQ(StatusOf(world.audit->Drafts(audit::Kind::kOutcome).at(0)),
            Code(audit::Status::kSetupFailed));
}

TEST(Pipeline, AnOutcomeThatTheLogRefusedIsRecordedWhenItListensAgain) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.owed_ms = 20;
  FakeWorld world(settings);
  Client client = world.ConnectAndOpen();
  world.audit->fail_outcomes = true;
  const auto reply = Read(client);
  EXPECT_EQ(reply->code, ExitCode::kAudit);
  EXPECT_EQ(reply->output.ReadAll().value_or(""), "") << "nothing may be released";
  int tried = -1;
  for (int i = 0; i < 3; ++i) {
    tried = world.trace.Await("append outcome", static_cast<size_t>(tried + 1));
    ASSERT_GE(tried, 0) << "it must go on trying";
  }
  world.audit->fail_outcomes = false;
  ASSERT_GE(world.trace.Await("ack outcome", static_cast<size_t>(tried)), 0);
  const auto outcomes = world.audit->Drafts(audit::Kind::kOutcome);
  EXPECT_EQ(StatusOf(outcomes.back()), Code(audit::Status::kOk)) << "the program did end well";
  EXPECT_EQ(*outcomes.back().body.Find(3u)->uint(), 74u) << "and its client got 74";
  EXPECT_EQ(Read(client)->code, ExitCode::kOk);
}

TEST(Pipeline, ALostSpawndIs71BeforeGoAnd70AfterIt) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.spawn->hold_done = true;
  std::thread caller([&] { EXPECT_EQ(Read(client)->code, ExitCode::kInternal); });
  ASSERT_GE(world.trace.Await("go"), 0);
  world.OnLoop([&] { world.spawn->Die(); });
  caller.join();
  EXPECT_EQ(StatusOf(world.audit->Drafts(audit::Kind::kOutcome).at(0)),
            Code(audit::Status::kUnknown));
  EXPECT_EQ(Read(client)->code, ExitCode::kSandbox);
  EXPECT_EQ(client.Status()->sandbox, "gone");
}

TEST(Pipeline, ACallThatRunsTooLongIs124) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.spawn->end = sandbox::Done::End::kTimeout;
  EXPECT_EQ(Read(client)->code, ExitCode::kTimeout);
  EXPECT_EQ(StatusOf(world.audit->Drafts(audit::Kind::kOutcome).at(0)),
            Code(audit::Status::kTimeout));
}

TEST(Pipeline, ASpawndThatNeverReportsTheEndIs124Too) {
  GatewaySettings settings = FakeWorld::Quick();
  settings.limits.sandbox.wall_ms = 100;
  FakeWorld world(settings);
  Client client = world.ConnectAndOpen();
  world.spawn->hold_done = true;
  EXPECT_EQ(Read(client)->code, ExitCode::kTimeout);
}

TEST(Pipeline, KilledAndOutOfMemoryAreFailuresThatTheRecordTellsApart) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.spawn->end = sandbox::Done::End::kSignaled;
  EXPECT_EQ(Read(client)->code, ExitCode::kFailed);
  world.spawn->end = sandbox::Done::End::kOom;
  EXPECT_EQ(Read(client)->code, ExitCode::kFailed);
  const auto outcomes = world.audit->Drafts(audit::Kind::kOutcome);
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(StatusOf(outcomes[0]), Code(audit::Status::kKilled));
  EXPECT_EQ(StatusOf(outcomes[1]), Code(audit::Status::kOom));
}

TEST(Pipeline, AClientThatHangsUpCancelsItsCallWhichIsStillRecorded) {
  FakeWorld world;
  {
    Client client = world.ConnectAndOpen();
    world.spawn->hold_done = true;
    const CallRequest call{
        1,
        client.Open({UniqueFd(open("/tmp", O_RDONLY | O_DIRECTORY)), "/tmp"})->session,
        "fs.read",
        cbor::Map{{"path", kInside}},
        {}};
    ASSERT_TRUE(client.channel().Send(Encode(call)).has_value());
    ASSERT_GE(world.trace.Await("go"), 0);
  }
  EXPECT_GE(world.trace.Await("cancel"), 0);
  ASSERT_GE(world.trace.Await("ack outcome"), 0);
  EXPECT_EQ(StatusOf(world.audit->Drafts(audit::Kind::kOutcome).at(0)),
            Code(audit::Status::kCancelled));
}

TEST(Pipeline, AClientThatHangsUpBeforeGoNeverStartsTheWorker) {
  FakeWorld world;
  {
    Client client = world.ConnectAndOpen();
    world.audit->hold_intents = true;
    const CallRequest call{
        1,
        client.Open({UniqueFd(open("/tmp", O_RDONLY | O_DIRECTORY)), "/tmp"})->session,
        "fs.read",
        cbor::Map{{"path", kInside}},
        {}};
    ASSERT_TRUE(client.channel().Send(Encode(call)).has_value());
    ASSERT_GE(world.trace.Await("ready"), 0);
  }
  ASSERT_GE(world.trace.Await("cancel"), 0);
  world.OnLoop([&] { world.audit->Release(); });
  ASSERT_GE(world.trace.Await("ack outcome"), 0);
  EXPECT_EQ(world.trace.IndexOf("go"), -1);
  EXPECT_EQ(StatusOf(world.audit->Drafts(audit::Kind::kOutcome).at(0)),
            Code(audit::Status::kCancelled));
}

TEST(Pipeline, BadArgumentsAre65UnknownNamesAre66AllRecordedNothingSpawned) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  EXPECT_EQ(client.Call("fs.read", {})->code, ExitCode::kBadData);
  EXPECT_EQ(client.Call("fs.read", {{"path", kInside}, {"pth", "x"}})->code, ExitCode::kBadData);
  EXPECT_EQ(client.Call("fs.read", {{"path", 5}})->code, ExitCode::kBadData);
  EXPECT_EQ(client.Call("fs.read", {{"path", std::string("a\0b", 3)}})->code, ExitCode::kBadData);
  for (const char* name : {"fs.READ", "fs.read ", "fs..read", "fs", "", "ｆs.read", "fs.read\n"}) {
    EXPECT_EQ(client.Call(name, {{"path", kInside}})->code, ExitCode::kNotFound) << name;
  }
  EXPECT_EQ(world.audit->Drafts(audit::Kind::kDenial).size(), 11u);
  EXPECT_EQ(world.trace.IndexOf("spawn"), -1);
}

TEST(Pipeline, ArgumentsAreNeverInTheClearPartOfARecord) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  const std::string secret = std::string(FakeWorld::kWork) + "/very-private-name";
  ASSERT_EQ(Read(client, secret)->code, ExitCode::kOk);
  ASSERT_EQ(Read(client, "/etc/very-private-name")->code, ExitCode::kDenied);
  ASSERT_EQ(client.Call("fs.read", {{"path", secret}, {"very-private-name", 1}})->code,
            ExitCode::kBadData);
  for (const audit::Kind kind :
       {audit::Kind::kIntent, audit::Kind::kDenial, audit::Kind::kOutcome}) {
    for (const audit::Draft& draft : world.audit->Drafts(kind)) {
      EXPECT_EQ(cbor::Diagnostic(draft.body).find("very-private-name"), std::string::npos)
          << audit::Name(kind);
    }
  }
}

// What a hostile worker may leave behind: none of it reaches the client as a result.
TEST(Pipeline, AMalformedResultIsAFailureWithoutAByte) {
  const cbor::Bytes good = cbor::Encode(cbor::Map{
      {"code", 0}, {"data", cbor::Map{}}, {"message", ""}, {"limit", 0u}, {"truncated", false}});
  const auto size = static_cast<uint32_t>(good.size());
  const uint32_t magic = sandbox::kResultMagic;
  const cbor::Bytes extra = cbor::Encode(cbor::Map{{"code", 0},
                                                   {"data", cbor::Map{}},
                                                   {"message", ""},
                                                   {"limit", 0u},
                                                   {"truncated", false},
                                                   {"seq", 1}});
  const cbor::Bytes claims = cbor::Encode(cbor::Map{
      {"code", 75}, {"data", cbor::Map{}}, {"message", ""}, {"limit", 0u}, {"truncated", false}});
  const cbor::Bytes floats = {0xa1, 0x64, 'c', 'o', 'd', 'e', 0xf9, 0, 0};
  const struct {
    const char* what;
    std::function<UniqueFd()> make;
  } rows[] = {
      {"not sealed", [&] { return MakeResult({magic, size, 1}, good, "x", false); }},
      {"never written", [&] { return MakeResult({}, {}, ""); }},
      {"wrong magic", [&] { return MakeResult({magic + 1, size, 1}, good, "x"); }},
      {"meta too long", [&] { return MakeResult({magic, 61 * 1024, 1}, good, "x"); }},
      {"meta too short", [&] { return MakeResult({magic, size - 1, 1}, good, "x"); }},
      {"data beyond the cap",
       [&] { return MakeResult({magic, size, (16ull << 20) + 1}, good, "x"); }},
      {"data beyond everything", [&] { return MakeResult({magic, size, UINT64_MAX}, good, "x"); }},
      {"data beyond the file",
       [&] { return MakeResult({magic, size, 4096}, good, "", true, sandbox::kResultDataOffset); }},
      {"a file without a data part",
       [&] { return MakeResult({magic, size, 0}, good, "", true, 4096); }},
      {"a file beyond the cap",
       [&] { return MakeResult({magic, size, 1}, good, "x", true, 64ull << 20); }},
      {"an unknown key",
       [&] { return MakeResult({magic, static_cast<uint32_t>(extra.size()), 1}, extra, "x"); }},
      {"a code that is not its to claim",
       [&] { return MakeResult({magic, static_cast<uint32_t>(claims.size()), 1}, claims, "x"); }},
      {"a float",
       [&] { return MakeResult({magic, static_cast<uint32_t>(floats.size()), 1}, floats, "x"); }},
      {"no memfd", [] { return UniqueFd(open("/dev/zero", O_RDONLY | O_CLOEXEC)); }},
  };
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  for (const auto& row : rows) {
    world.OnLoop([&] { world.spawn->make_result = row.make; });
    const auto reply = Read(client);
    ASSERT_TRUE(reply.has_value()) << row.what;
    EXPECT_EQ(reply->code, ExitCode::kFailed) << row.what;
    EXPECT_EQ(reply->bytes, 0u) << row.what;
    EXPECT_FALSE(reply->message.empty()) << row.what;
  }
  world.OnLoop([&] { world.spawn->make_result = [] { return GoodResult(); }; });
  EXPECT_EQ(Read(client)->code, ExitCode::kOk);
}

TEST(Pipeline, AWorkerMaySayThatItsFileIsNotThere) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.OnLoop(
      [&] { world.spawn->make_result = [] { return GoodResult(ExitCode::kNotFound, ""); }; });
  EXPECT_EQ(Read(client)->code, ExitCode::kNotFound);
  EXPECT_EQ(StatusOf(world.audit->Drafts(audit::Kind::kOutcome).at(0)),
            Code(audit::Status::kFailed));
}

TEST(Pipeline, TheIntentCarriesTheDigestOfTheSpecThatWasSent) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  ASSERT_EQ(Read(client)->code, ExitCode::kOk);
  const auto intents = world.audit->Drafts(audit::Kind::kIntent);
  ASSERT_EQ(intents.size(), 1u);
  ASSERT_NE(intents[0].body.Find(15u), nullptr);
  EXPECT_EQ(intents[0].body.Find(15u)->bytes()->size(), 32u);
  EXPECT_EQ(*intents[0].body.Find(15u)->bytes(), world.spawn->LastSpecDigest());
}

TEST(Pipeline, AStoppingGatewayCancelsRecordsAndKeepsItsSessions) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.spawn->hold_done = true;
  std::thread caller([&] { EXPECT_EQ(Read(client)->code, ExitCode::kUnreachable); });
  ASSERT_GE(world.trace.Await("go"), 0);
  world.OnLoop([&] { world.gateway->Stop([&] { world.trace.Add("stopped"); }); });
  ASSERT_GE(world.trace.Await("stopped"), 0);
  caller.join();
  const auto late = Read(client);
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, ExitCode::kUnreachable);
  EXPECT_LT(world.trace.IndexOf("ack outcome"), world.trace.IndexOf("stopped"));
  EXPECT_EQ(world.audit->Drafts(audit::Kind::kAdmin).size(), 2u);
  EXPECT_EQ(world.audit->Drafts(audit::Kind::kSession).size(), 1u);
}

}  // namespace
}  // namespace krux::gateway
