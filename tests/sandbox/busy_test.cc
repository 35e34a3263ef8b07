// Back-pressure of network namespaces: beyond the bound a call is refused as busy, never given a
// shared one, and runs again when others are gone. Also what shows that none leaks: the bound would
// be reached.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/sandbox/spawnd_harness.h"

namespace krux::sandbox {
namespace {

class Busy : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Modes, Busy, testing::Bool(), [](const auto& row) {
  return row.param ? std::string("Rootless") : std::string("Root");
});

TEST_P(Busy, BeyondTheBoundOfNetworkNamespaces) {
  ASSERT_EQ(geteuid(), 0u);
  HarnessOptions options;
  options.rootless = GetParam();
  options.hooks = true;
  options.spawnd_flags = {"--test-net-namespaces", "3"};  // spawnd's own and two calls'
  auto harness = SpawndHarness::Start(options);
  ASSERT_TRUE(harness) << harness.error().message;
  const ScratchDir work(GetParam() ? SpawndHarness::kRootlessId : SpawndHarness::kClientId);
  const Result<Spec> prepared = (*harness)->Prepare(work.path(), WorkClass::kFs, false);
  ASSERT_TRUE(prepared) << prepared.error().message;
  const auto spawn = [&](cbor::Bytes* id) {
    Spec spec = *prepared;
    spec.call_id = *id = FreshId();
    EXPECT_TRUE((*harness)->client().Spawn(spec));
    return (*harness)->Wait();
  };
  cbor::Bytes first, second, other;
  Result<Event> one = spawn(&first), two = spawn(&second), three = spawn(&other);
  ASSERT_TRUE(one && two && three);
  EXPECT_TRUE(std::holds_alternative<Ready>(*one));
  EXPECT_TRUE(std::holds_alternative<Ready>(*two));
  const auto* refused = std::get_if<Failed>(&*three);
  ASSERT_NE(refused, nullptr) << "a third network namespace";
  EXPECT_EQ(refused->error.code, ExitCode::kBusy) << refused->error.message;
  EXPECT_NE(refused->error.message.find("retry"), std::string::npos);

  for (const cbor::Bytes& id : {first, second}) {
    ASSERT_TRUE((*harness)->client().Cancel(id));
    ASSERT_TRUE((*harness)->Wait());
  }
  // The kernel takes its time to take them down.
  bool again = false;
  for (int attempt = 0; attempt < 500 && !again; ++attempt) {
    const Result<Event> event = spawn(&other);
    ASSERT_TRUE(event);
    again = std::holds_alternative<Ready>(*event);
    if (!again) usleep(20'000);
  }
  EXPECT_TRUE(again);
}

}  // namespace
}  // namespace krux::sandbox
