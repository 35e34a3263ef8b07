// Those of the eleven defects (tests/policy/peer_defects_test.cc) that show at the gateway's
// door: a second way in, a failed call that left no trace in the exposure, an effect before its
// record.
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "runtime/catalog.h"
#include "tests/gateway/fake_world.h"

namespace krux::gateway {
namespace {

namespace fs = std::filesystem;
const std::string kInside = std::string(FakeWorld::kWork) + "/README.md";

// Arguments that bind: what is required, of its type.
cbor::Map SomeArguments(const runtime::Capability& capability) {
  cbor::Map arguments;
  for (const runtime::Arg& arg : capability.args) {
    if (!arg.required) continue;
    cbor::Value value = kInside;
    if (arg.type == runtime::ArgType::kTextList) value = cbor::Array{"true"};
    if (arg.type == runtime::ArgType::kUint) value = uint64_t{1};
    if (arg.type == runtime::ArgType::kContent) value = cbor::Bytes{1};
    arguments.Set(std::string(arg.name), std::move(value));
  }
  return arguments;
}

TEST(PeerDefects, D6NoCallPassesBesideTheDecision) {
  GatewaySettings settings = FakeWorld::Quick();
  static std::atomic<int> asked;
  asked = 0;
  settings.limits.decide = [](const policy::State& state, const policy::Call&,
                              const policy::Footprint&, uint64_t) {
    ++asked;
    return policy::Decision{.verdict = policy::Verdict::kDeny,
                            .reasons = {{policy::Component::kLevel, policy::Verdict::kDeny,
                                         "test:1 levels", "nothing passes"}},
                            .next = state};
  };
  FakeWorld world(settings);
  Client client = world.ConnectAndOpen("local_dev");
  int calls = 0;
  for (const runtime::Capability& capability : runtime::Catalog()) {
    const auto reply = client.Call(std::string(capability.name), SomeArguments(capability));
    ASSERT_TRUE(reply.has_value()) << capability.name << ": " << reply.error().message;
    EXPECT_EQ(reply->code, ExitCode::kDenied) << capability.name << ": " << reply->message;
    ++calls;
  }
  EXPECT_GT(calls, 3);
  EXPECT_EQ(asked, calls);
  EXPECT_EQ(world.trace.IndexOf("spawn"), -1);
}

TEST(PeerDefects, D6OnlyThePipelineAsksForADecision) {
  static const std::regex asks(
      "policy::Decide\\b|\\bkrux_decide\\b|\\bkrux_step_call\\b|\\bDecide\\(state");
  std::vector<std::string> who;
  for (const char* folder : {"base", "sandbox", "audit", "runtime", "gateway"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(KRUX_SOURCE_DIR) / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".cc" && extension != ".c" && extension != ".h") continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        line.resize(std::min(line.find("//"), line.size()));
        if (std::regex_search(line, asks))
          who.push_back(entry.path().lexically_relative(KRUX_SOURCE_DIR));
      }
    }
  }
  EXPECT_EQ(who, std::vector<std::string>{"gateway/pipeline.h"});
}

TEST(PeerDefects, D9ACallThatFailsHasSeenAsMuchAsOneThatWorks) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.spawn->fail_spawn = true;
  const auto reply = client.Call("fs.read", {{"path", kInside}});
  ASSERT_TRUE(reply.has_value());
  EXPECT_NE(reply->code, ExitCode::kOk);
  EXPECT_EQ(reply->exposure, std::vector<std::string>{"private_data"});
}

TEST(PeerDefects, D11NothingHappensBeforeItsRecordIsDurable) {
  FakeWorld world;
  Client client = world.ConnectAndOpen();
  world.audit->hold_intents = true;
  std::thread caller([&] { EXPECT_TRUE(client.Call("fs.read", {{"path", kInside}}).has_value()); });
  ASSERT_GE(world.trace.Await("ready"), 0);
  EXPECT_EQ(world.trace.IndexOf("go"), -1);
  world.OnLoop([&] { world.audit->Release(); });
  caller.join();
  EXPECT_LT(world.trace.IndexOf("ack intent"), world.trace.IndexOf("go"));
}

}  // namespace
}  // namespace krux::gateway
