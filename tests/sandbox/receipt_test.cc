// Each layer left out in turn, by a build of krux-spawnd that can leave it out: the call is killed
// by the receipt check before anything of it runs, and the failure names the layer.

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include "tests/sandbox/spawnd_harness.h"

namespace krux::sandbox {
namespace {

// SetNotDumpable has no row: the change of ids before it already clears the flag (prctl(2)), so
// leaving it out changes nothing that could be measured.
struct Row {
  const char* flag;  // "--test-skip" or "--test-skip-namespace"
  const char* what;
  const char* layer;  // named by the failure; "" where more than one is right
};

class ReceiptTest : public testing::TestWithParam<Row> {};

TEST_P(ReceiptTest, AMissingLayerKillsTheCall) {
  ASSERT_EQ(geteuid(), 0u);
  HarnessOptions options;
  options.hooks = true;
  options.spawnd_flags = {GetParam().flag, GetParam().what};
  auto harness = SpawndHarness::Start(options);
  ASSERT_TRUE(harness) << harness.error().message;
  const ScratchDir work(SpawndHarness::kClientId);
  work.Write("a", "a");
  Result<Spec> spec = (*harness)->Prepare(work.path(), WorkClass::kFs, false);
  ASSERT_TRUE(spec) << spec.error().message;
  spec->request = {0};
  ASSERT_TRUE((*harness)->client().Spawn(*spec));
  Result<Event> event = (*harness)->Wait();
  ASSERT_TRUE(event) << event.error().message;
  const auto* failed = std::get_if<Failed>(&*event);
  ASSERT_NE(failed, nullptr) << GetParam().what << " was left out and the call was not killed";
  EXPECT_EQ(failed->error.code, ExitCode::kSandbox);
  if (GetParam().layer[0] != '\0') {
    EXPECT_EQ(failed->layer, GetParam().layer) << failed->error.message;
  }
  RecordProperty("message", failed->error.message);
}

INSTANTIATE_TEST_SUITE_P(
    LayerOff, ReceiptTest,
    testing::Values(
        Row{"--test-skip", "landlock", "landlock"}, Row{"--test-skip", "seccomp", "seccomp"},
        Row{"--test-skip", "nftables", "nftables"}, Row{"--test-skip", "caps", "caps"},
        Row{"--test-skip", "bounding_set", "caps"}, Row{"--test-skip", "securebits", "caps"},
        Row{"--test-skip", "fds", "fds"}, Row{"--test-skip", "no_new_privs", ""},
        Row{"--test-skip", "ids", "user"}, Row{"--test-skip", "rlimits", "rlimits"},
        Row{"--test-skip", "parent_death", "pid"}, Row{"--test-skip-namespace", "user", ""},
        Row{"--test-skip-namespace", "mnt", "mount"}, Row{"--test-skip-namespace", "pid", ""},
        Row{"--test-skip-namespace", "net", ""}, Row{"--test-skip-namespace", "uts", ""},
        Row{"--test-skip-namespace", "ipc", "ipc"},
        Row{"--test-skip-namespace", "cgroup", "cgroupns"}),
    [](const auto& row) {
      std::string name = std::string(row.param.flag) == "--test-skip" ? "step_" : "namespace_";
      return name + row.param.what;
    });

TEST(ReceiptBaseline, WithNothingLeftOutTheHooksBuildIsReady) {
  HarnessOptions options;
  options.hooks = true;
  auto harness = SpawndHarness::Start(options);
  ASSERT_TRUE(harness) << harness.error().message;
  const ScratchDir work(SpawndHarness::kClientId);
  Result<Spec> spec = (*harness)->Prepare(work.path(), WorkClass::kFs, false);
  ASSERT_TRUE(spec) << spec.error().message;
  ASSERT_TRUE((*harness)->client().Spawn(*spec));
  Result<Event> event = (*harness)->Wait();
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_TRUE(std::holds_alternative<Ready>(*event));
}

// spawnd's own filter answers below a worker's: it must not pass for it.
TEST(ReceiptBaseline, SpawndsFilterDoesNotStandInForAWorkers) {
  HarnessOptions options;
  options.hooks = true;
  options.spawnd_flags = {"--test-skip", "seccomp", "--test-own-filter"};
  auto harness = SpawndHarness::Start(options);
  ASSERT_TRUE(harness) << harness.error().message;
  const ScratchDir work(SpawndHarness::kClientId);
  Result<Spec> spec = (*harness)->Prepare(work.path(), WorkClass::kFs, false);
  ASSERT_TRUE(spec) << spec.error().message;
  ASSERT_TRUE((*harness)->client().Spawn(*spec));
  Result<Event> event = (*harness)->Wait();
  ASSERT_TRUE(event) << event.error().message;
  const auto* failed = std::get_if<Failed>(&*event);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->layer, "seccomp") << failed->error.message;
}

TEST(CgroupRing, ARequiredCgroupThatIsNotWholeRefusesTheCall) {
  auto harness = SpawndHarness::Start({});
  ASSERT_TRUE(harness) << harness.error().message;
  if ((*harness)->Degraded() == 0) {
    SUCCEED() << "this host gives every controller; the refusal is shown where one is missing";
    return;
  }
  const ScratchDir work(SpawndHarness::kClientId);
  Result<Spec> spec = (*harness)->Prepare(work.path(), WorkClass::kFs, false);
  ASSERT_TRUE(spec) << spec.error().message;
  spec->required = kAllLayers;
  spec->degraded = 0;
  ASSERT_TRUE((*harness)->client().Spawn(*spec));
  Result<Event> event = (*harness)->Wait();
  ASSERT_TRUE(event) << event.error().message;
  const auto* failed = std::get_if<Failed>(&*event);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->layer, "cgroup");
  EXPECT_NE(failed->error.message.find("--allow-degraded=cgroup"), std::string::npos)
      << failed->error.message;
}

}  // namespace
}  // namespace krux::sandbox
