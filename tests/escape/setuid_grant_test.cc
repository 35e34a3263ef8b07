// A tree that programs may write must not hold a file that gives its runner somebody's authority.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/sandbox/spawnd_harness.h"

namespace krux::sandbox {
namespace {

// A setuid file that is there already keeps its bit when it is written through a shared mapping, so
// a tree that holds one is not handed to programs for writing at all.
class SetuidInGrantTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    HarnessOptions options;
    options.rootless = GetParam();
    caller_ = GetParam() ? SpawndHarness::kRootlessId : SpawndHarness::kClientId;
    auto started = SpawndHarness::Start(options);
    ASSERT_TRUE(started) << started.error().message;
    harness_ = std::move(*started);
  }
  void Refuses(const ScratchDir& work, const std::string& names) {
    const Result<Spec> spec = harness_->Prepare(work.path(), WorkClass::kExec, true);
    ASSERT_FALSE(spec) << "a tree with a setuid file was granted for writing";
    EXPECT_EQ(spec.error().code, ExitCode::kDenied) << spec.error().message;
    EXPECT_NE(spec.error().message.find(names), std::string::npos) << spec.error().message;
  }

  uint32_t caller_ = 0;
  std::unique_ptr<SpawndHarness> harness_;
};

TEST_P(SetuidInGrantTest, SetuidAndSetgidFilesAreFoundWhereverTheyLie) {
  for (const unsigned mode : {04755u, 02755u, 06711u, 04000u}) {
    const ScratchDir work(caller_);
    ASSERT_EQ(mkdir((work.path() + "/deep").c_str(), 0700), 0);
    ASSERT_EQ(chown((work.path() + "/deep").c_str(), caller_, caller_), 0);
    work.Write("deep/tool", "#!/bin/sh\n");
    ASSERT_EQ(chmod((work.path() + "/deep/tool").c_str(), mode), 0);
    Refuses(work, "deep/tool");
  }
}

TEST_P(SetuidInGrantTest, ReadOnlyItIsGranted) {
  const ScratchDir work(caller_);
  work.Write("tool", "#!/bin/sh\n");
  ASSERT_EQ(chmod((work.path() + "/tool").c_str(), 04755), 0);
  const Result<Spec> spec = harness_->Prepare(work.path(), WorkClass::kExec, false);
  EXPECT_TRUE(spec) << spec.error().message;
}

// Where krux cannot look but the caller's programs can, it must not guess.
TEST_P(SetuidInGrantTest, ADirectoryOfTheCallersThatCannotBeSearchedIsRefused) {
  const ScratchDir work(caller_);
  const std::string hidden = work.path() + "/hidden";
  ASSERT_EQ(mkdir(hidden.c_str(), 0700), 0);
  work.Write("hidden/tool", "#!/bin/sh\n");
  ASSERT_EQ(chmod((hidden + "/tool").c_str(), 04755), 0);
  // The caller owns it, a group that nobody here has: the owner's own bits still open it.
  ASSERT_EQ(chown(hidden.c_str(), caller_, 64199), 0);
  Refuses(work, "hidden");
}

// The same holds for capabilities of a file, which write(2) would take away and a mapping does not.
TEST_P(SetuidInGrantTest, AFileWithCapabilitiesIsRefused) {
  const ScratchDir work(caller_);
  work.Write("server", "#!/bin/sh\n", 0755);
  vfs_cap_data caps{};
  caps.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  caps.data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
  ASSERT_EQ(
      setxattr((work.path() + "/server").c_str(), "security.capability", &caps, sizeof caps, 0), 0);
  Refuses(work, "server");
}

// Deeper than one path can say, and still within a program's reach: step by step.
TEST_P(SetuidInGrantTest, AFileDeeperThanAnyPathIsNotMissed) {
  const ScratchDir work(caller_);
  const std::string name(200, 'd');
  UniqueFd at(open(work.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < 25; ++i) {
    ASSERT_EQ(mkdirat(at.get(), name.c_str(), 0755), 0);
    ASSERT_EQ(fchownat(at.get(), name.c_str(), caller_, caller_, 0), 0);
    at = UniqueFd(openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(at.valid());
  }
  const UniqueFd tool(openat(at.get(), "tool", O_CREAT | O_WRONLY | O_CLOEXEC, 0755));
  ASSERT_EQ(fchown(tool.get(), caller_, caller_), 0);
  ASSERT_EQ(fchmod(tool.get(), 04755), 0);
  Refuses(work, "dddd");
}

INSTANTIATE_TEST_SUITE_P(Modes, SetuidInGrantTest, testing::Bool(),
                         [](const auto& row) { return row.param ? "Rootless" : "Root"; });

}  // namespace
}  // namespace krux::sandbox
