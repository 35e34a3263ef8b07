// The operator's file decides what words on a command line leave open, and only the operator's.

#include "gateway/supervisor/operator_config.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "gateway/bounds_text.h"
#include "gateway/supervisor/ids.h"

namespace krux::gateway {
namespace {

class OperatorConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/krux-config-XXXXXX";
    dir_ = mkdtemp(name);
    options_.paths.config_file = dir_ + "/krux.toml";
  }
  void TearDown() override {
    unlink(options_.paths.config_file.c_str());
    rmdir(dir_.c_str());
  }
  void Write(const std::string& text, mode_t mode = 0644) {
    std::ofstream(options_.paths.config_file) << text;
    chmod(options_.paths.config_file.c_str(), mode);
  }
  std::string dir_;
  GatewayOptions options_;
};

TEST_F(OperatorConfigTest, NoFileMeansEveryLayerAndTheDefaultCeiling) {
  const auto effective = WithConfig(options_);
  ASSERT_TRUE(effective) << effective.error().message;
  EXPECT_TRUE(effective->allow_degraded.empty());
  EXPECT_EQ(effective->ceiling, "local_dev");
  EXPECT_FALSE(effective->host_uid.has_value());
}

TEST_F(OperatorConfigTest, TheFileIsReadAndWordsOnTheCommandLineGoFirst) {
  Write("ceiling = \"read_only\"\n[sandbox]\nallow_degraded = [\"cgroup\"]\nhost_uid = 777\n");
  auto effective = WithConfig(options_);
  ASSERT_TRUE(effective) << effective.error().message;
  EXPECT_EQ(effective->allow_degraded, std::vector<std::string>{"cgroup"});
  EXPECT_EQ(effective->ceiling, "read_only");
  EXPECT_EQ(effective->host_uid, 777u);
  options_.ceiling = "local_dev";
  effective = WithConfig(options_);
  ASSERT_TRUE(effective) << effective.error().message;
  EXPECT_EQ(effective->ceiling, "local_dev");
}

TEST_F(OperatorConfigTest, AFileThatOthersCanWriteDecidesNothing) {
  Write("[sandbox]\nallow_degraded = [\"cgroup\"]\n", 0666);
  const auto effective = WithConfig(options_);
  ASSERT_FALSE(effective);
  EXPECT_EQ(effective.error().code, ExitCode::kConfig);
}

TEST_F(OperatorConfigTest, MistakesNameLineAndColumn) {
  Write("ceiling = \"read_only\"\nceilin = 1\n");
  const auto effective = WithConfig(options_);
  ASSERT_FALSE(effective);
  EXPECT_EQ(effective.error().code, ExitCode::kConfig);
  EXPECT_NE(effective.error().message.find("krux.toml:2:"), std::string::npos)
      << effective.error().message;
  EXPECT_NE(effective.error().message.find("`ceilin`"), std::string::npos)
      << effective.error().message;
}

TEST_F(OperatorConfigTest, OnlyTheCgroupCanBeMissing) {
  for (const char* layer : {"landlock", "seccomp", "user", "cgruop", ""}) {
    options_.allow_degraded = {layer};
    const auto effective = WithConfig(options_);
    ASSERT_FALSE(effective) << layer;
    EXPECT_EQ(effective.error().code, ExitCode::kConfig);
  }
}

TEST_F(OperatorConfigTest, LimitsAreHandedOnAndMistakesInThemAreFoundHere) {
  Write("[limits]\ncalls = 64\nwait_ms = 2000\n");
  const auto effective = WithConfig(options_);
  ASSERT_TRUE(effective) << effective.error().message;
  EXPECT_EQ(effective->limits, "calls=64,wait_ms=2000");
  Bounds bounds;
  ASSERT_TRUE(ReadBounds(bounds, effective->limits).has_value());
  EXPECT_EQ(bounds.calls, 64u);
  EXPECT_EQ(bounds.wait_ms, 2000u);
  EXPECT_EQ(bounds.sessions, Bounds{}.sessions);
  const struct {
    const char* text;
    const char* says;
  } rows[] = {
      {"[limits]\ncals = 64\n", "did you mean `calls`?"},
      {"[limits]\nthe_moon = 64\n", "docs/PROTOCOL.md"},
      {"[limits]\ncalls = 0\n", "between 1 and 128"},
      {"[limits]\ncalls = 100000\n", "between 1 and 128"},
      {"[limits]\ncalls = -1\n", "number"},
      {"[limits]\ncalls = \"many\"\n", "number"},
  };
  for (const auto& row : rows) {
    Write(row.text);
    const auto refused = WithConfig(options_);
    ASSERT_FALSE(refused) << row.text;
    EXPECT_EQ(refused.error().code, ExitCode::kConfig) << row.text;
    EXPECT_NE(refused.error().message.find("krux.toml:2:"), std::string::npos)
        << refused.error().message;
    EXPECT_NE(refused.error().message.find(row.says), std::string::npos) << refused.error().message;
  }
}

TEST(BoundsText, OnlyWholeWordsAreTaken) {
  Bounds bounds;
  EXPECT_TRUE(ReadBounds(bounds, "").has_value());
  for (const char* text : {"calls", "calls=", "=5", "calls=5x", "calls= 5", "calls=5,,", ","}) {
    EXPECT_FALSE(ReadBounds(bounds, text).has_value()) << text;
  }
}

TEST_F(OperatorConfigTest, WorkersNeverRunAsSomebody) {
  if (geteuid() != 0)
    return;  // without root the workers are the caller, and the line means nothing
  char name[] = "/tmp/krux-ids-XXXXXX";
  const std::string dir = mkdtemp(name);
  const UniqueFd state(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const unsigned id : {0u, 1u, 65534u}) {
    const auto ids = ChooseIds(state.get(), id);
    ASSERT_FALSE(ids) << id;
    EXPECT_EQ(ids.error().code, ExitCode::kConfig);
  }
  const auto ids = ChooseIds(state.get(), 61777u);
  ASSERT_TRUE(ids) << ids.error().message;
  EXPECT_EQ(ids->worker, 61777u);
  unlink((dir + "/ids").c_str());
  rmdir(dir.c_str());
}

}  // namespace
}  // namespace krux::gateway
