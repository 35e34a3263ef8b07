// A call's leaf against a directory that looks like cgroup v2: which files are written, what is
// read back, which events name an end, and what happens where a controller is missing. That the
// kernel obeys is owed by a host whose cgroup v2 holds the controllers.
#include "sandbox/cgroup.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "sandbox/disk.h"

namespace krux::sandbox {
namespace {

class FakeCgroup : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/krux-cgroup-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    Write("cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
    Write("cgroup.subtree_control", "");
    Write("memory.swap.max", "max\n");
    // What the kernel makes with the directory.
    std::filesystem::create_directory(root_ + "/call-1");
    for (const char* file : {"memory.max", "memory.oom.group", "memory.swap.max", "pids.max",
                             "cpu.max", "io.max", "cgroup.kill"}) {
      Write(std::string("call-1/") + file, "");
    }
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& file, const std::string& text) const {
    std::ofstream(root_ + "/" + file) << text;
  }
  std::string Read(const std::string& file) const {
    std::ostringstream text;
    text << std::ifstream(root_ + "/" + file).rdbuf();
    return text.str();
  }
  UniqueFd Root() const {
    return UniqueFd(open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  CgroupTree Tree() const { return std::move(*CgroupTree::Open(Root())); }
  CgroupLeaf Leaf() const { return std::move(*CgroupLeaf::Open(Root().get(), "call-1")); }

  std::string root_;
};

Limits Odd() {
  Limits limits;
  limits.memory_bytes = 100'000'001;
  limits.pids = 17;
  limits.cpu_quota_us = 50'000;
  limits.io_bytes = 1'000'000;
  return limits;
}

TEST_F(FakeCgroup, EveryLimitIsWrittenOnceAndReadBack) {
  const CgroupTree tree = Tree();
  EXPECT_TRUE(tree.whole());
  CgroupLeaf leaf = Leaf();
  ASSERT_TRUE(leaf.Set(tree.LimitFiles(Odd(), "8:0")));
  EXPECT_EQ(Read("call-1/memory.max"), "99999744") << "whole pages, as the kernel prints it";
  EXPECT_EQ(Read("call-1/memory.oom.group"), "1");
  EXPECT_EQ(Read("call-1/memory.swap.max"), "0");
  EXPECT_EQ(Read("call-1/pids.max"), "17");
  EXPECT_EQ(Read("call-1/cpu.max"), "50000 100000");
  EXPECT_EQ(Read("call-1/io.max"), "8:0 rbps=1000000 wbps=1000000 riops=max wiops=max");
  EXPECT_EQ(cbor::Value(leaf.ReadLimits()), cbor::Value(leaf.wanted()));
  // The kernel, or somebody, holds another value: that is what is read.
  Write("call-1/pids.max", "max\n");
  EXPECT_EQ(*leaf.ReadLimits().Find("pids.max"), cbor::Value("max"));
  EXPECT_EQ(*leaf.wanted().Find("pids.max"), cbor::Value("17"));
}

TEST_F(FakeCgroup, ALimitThatCannotBeWrittenIsAnErrorAndOfTheDiskAloneIsNone) {
  const CgroupTree tree = Tree();
  std::filesystem::remove(root_ + "/call-1/io.max");
  CgroupLeaf leaf = Leaf();
  EXPECT_TRUE(leaf.Set(tree.LimitFiles(Odd(), "8:0")));
  EXPECT_EQ(leaf.wanted().Find("io.max"), nullptr) << "the receipt is not held to it";
  std::filesystem::remove(root_ + "/call-1/memory.max");
  CgroupLeaf again = Leaf();
  const Result<void> set = again.Set(tree.LimitFiles(Odd(), ""));
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ExitCode::kSandbox);
  EXPECT_NE(set.error().message.find("memory.max"), std::string::npos) << set.error().message;
}

TEST_F(FakeCgroup, MissingControllersAreNamedAndNotWritten) {
  Write("cgroup.controllers", "cpu io\n");
  const CgroupTree tree = Tree();
  EXPECT_TRUE(tree.valid());
  EXPECT_FALSE(tree.whole());
  EXPECT_EQ(tree.missing(), (std::vector<std::string>{"memory", "pids"}));
  const cbor::Map files = tree.LimitFiles(Odd(), "");
  EXPECT_NE(files.Find("cpu.max"), nullptr);
  EXPECT_EQ(files.Find("memory.max"), nullptr);
  EXPECT_EQ(files.Find("pids.max"), nullptr);
  EXPECT_EQ(files.Find("io.max"), nullptr) << "WORK has no disk";
}

TEST_F(FakeCgroup, AControllerThatCannotBePassedOnIsMissing) {
  std::filesystem::remove(root_ + "/cgroup.subtree_control");
  EXPECT_EQ(Tree().missing().size(), 3u);
}

TEST_F(FakeCgroup, WithoutIoTheTreeIsWholeAndNoDiskIsLimited) {
  Write("cgroup.controllers", "cpu memory pids\n");
  EXPECT_TRUE(Tree().whole());
  EXPECT_EQ(Tree().LimitFiles(Odd(), "8:0").Find("io.max"), nullptr);
}

TEST_F(FakeCgroup, TheKernelsEventsNameTheEnd) {
  const CgroupLeaf leaf = Leaf();
  EXPECT_FALSE(leaf.OomKilled()) << "no such file";
  EXPECT_FALSE(leaf.PidsRefused());
  Write("call-1/memory.events", "low 0\nhigh 0\nmax 812\noom 3\noom_kill 0\noom_group_kill 0\n");
  Write("call-1/pids.events", "max 0\n");
  EXPECT_FALSE(leaf.OomKilled()) << "reclaim and refusals killed nobody";
  EXPECT_FALSE(leaf.PidsRefused());
  Write("call-1/memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 10\noom_group_kill 1\n");
  Write("call-1/pids.events", "max 4\n");
  EXPECT_TRUE(leaf.OomKilled());
  EXPECT_TRUE(leaf.PidsRefused());
  Write("call-1/memory.events", "oom_group_kill 1\n");
  EXPECT_TRUE(leaf.OomKilled());
  EXPECT_FALSE(CgroupLeaf().OomKilled()) << "no leaf";
}

TEST_F(FakeCgroup, KillIsOneWrite) {
  Leaf().Kill();
  EXPECT_EQ(Read("call-1/cgroup.kill"), "1");
}

// sysfs(5): /sys/dev/block/<number> is a link to the device's folder; a partition's lies in its
// disk's.
TEST(Disk, IsTheWholeDiskUnderAPartition) {
  std::string root = testing::TempDir() + "/krux-sys-XXXXXX";
  ASSERT_NE(mkdtemp(root.data()), nullptr);
  namespace fs = std::filesystem;
  fs::create_directories(root + "/devices/block/vda/vda1");
  fs::create_directories(root + "/dev/block");
  std::ofstream(root + "/devices/block/vda/dev") << "254:0\n";
  std::ofstream(root + "/devices/block/vda/vda1/dev") << "254:1\n";
  std::ofstream(root + "/devices/block/vda/vda1/partition") << "1\n";
  fs::create_symlink("../../devices/block/vda", root + "/dev/block/254:0");
  fs::create_symlink("../../devices/block/vda/vda1", root + "/dev/block/254:1");
  EXPECT_EQ(DiskOf(makedev(254, 0), root + "/dev/block"), "254:0");
  EXPECT_EQ(DiskOf(makedev(254, 1), root + "/dev/block"), "254:0");
  EXPECT_EQ(DiskOf(makedev(0, 40), root + "/dev/block"), "") << "tmpfs, overlayfs, btrfs";
  fs::remove_all(root);
}

}  // namespace
}  // namespace krux::sandbox
