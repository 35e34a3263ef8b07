// Which directory becomes WORK when nobody names one.
#include "gateway/client/work_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace krux::gateway {
namespace {

namespace fs = std::filesystem;

class ChooseWorkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/krux-work-XXXXXX";
    root_ = fs::canonical(mkdtemp(name));
    before_ = fs::current_path();
    fs::create_directories(root_ + "/repo/deep/er");
    fs::create_directories(root_ + "/plain/sub");
  }
  void TearDown() override {
    fs::current_path(before_);
    fs::remove_all(root_);
  }
  // What is chosen from `cwd`; the error's code as text when nothing is.
  std::string From(const std::string& cwd, std::optional<std::string> named = std::nullopt) {
    fs::current_path(cwd);
    const auto work = ChooseWork(named);
    return work ? work->path : std::to_string(ToInt(work.error().code));
  }
  std::string root_;
  fs::path before_;
};

TEST_F(ChooseWorkTest, TheGitTopLevelElseTheCurrentDirectory) {
  EXPECT_EQ(From(root_ + "/plain/sub"), root_ + "/plain/sub");
  fs::create_directory(root_ + "/repo/.git");
  EXPECT_EQ(From(root_ + "/repo/deep/er"), root_ + "/repo");
  EXPECT_EQ(From(root_ + "/repo"), root_ + "/repo");
}

TEST_F(ChooseWorkTest, AForeignRepositoryDecidesNothing) {
  if (geteuid() != 0) GTEST_SKIP() << "needs chown";
  fs::create_directory(root_ + "/repo/.git");
  ASSERT_EQ(chown((root_ + "/repo/.git").c_str(), 12345, 12345), 0);
  EXPECT_EQ(From(root_ + "/repo/deep"), root_ + "/repo/deep");
  ASSERT_EQ(chown((root_ + "/repo/.git").c_str(), 0, 0), 0);
  ASSERT_EQ(chown((root_ + "/repo").c_str(), 12345, 12345), 0);
  EXPECT_EQ(From(root_ + "/repo/deep"), root_ + "/repo/deep");
}

TEST_F(ChooseWorkTest, RootAndHomeAreNeverHandedOutUnasked) {
  EXPECT_EQ(From("/"), "78");
  const std::string home = getenv("HOME") != nullptr ? getenv("HOME") : "";
  setenv("HOME", (root_ + "/plain").c_str(), 1);
  EXPECT_EQ(From(root_ + "/plain"), "78");
  EXPECT_EQ(From(root_ + "/plain/sub"), root_ + "/plain/sub");
  EXPECT_EQ(From(root_, root_ + "/plain"), root_ + "/plain") << "a name is a choice";
  fs::create_directory(root_ + "/plain/.git");
  EXPECT_EQ(From(root_ + "/plain/sub"), "78") << "a repository at home is home";
  setenv("HOME", home.c_str(), 1);
}

TEST_F(ChooseWorkTest, ANameIsResolvedAndMustBeADirectory) {
  fs::create_directory_symlink(root_ + "/plain", root_ + "/link");
  EXPECT_EQ(From(root_, "link"), root_ + "/plain");
  EXPECT_EQ(From(root_, "absent"), "66");
  EXPECT_EQ(From(root_, ""), "64");
  EXPECT_EQ(From(root_, "/dev/null"), "78");
}

}  // namespace
}  // namespace krux::gateway
