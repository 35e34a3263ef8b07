// The operator's folder in the hands of somebody else, or of chance: nothing hangs, nothing is
// taken from whom it should not, and what is said names the file.
#include "gateway/supervisor/policy_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "gateway/policy_parcel.h"

namespace krux::gateway {
namespace {

namespace fs = std::filesystem;

const std::string kText = "krux = 1\nname = \"team\"\n";

class PolicyFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/krux-policies-XXXXXX";
    root_ = mkdtemp(name);
    folder_ = PolicyFolder(root_ + "/krux.toml");
    fs::create_directory(folder_);
    chmod(folder_.c_str(), 0755);
    Write("team.toml", kText);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  void Write(const std::string& name, const std::string& text, mode_t mode = 0644) const {
    {
      std::ofstream(Path(name), std::ios::binary) << text;
    }
    chmod(Path(name).c_str(), mode);
  }
  // The reading fails with 78, and says `what` of `path`.
  void Refused(const std::string& path, const std::string& what) const {
    const auto files = ReadPolicyFolder(folder_);
    ASSERT_FALSE(files.has_value()) << what;
    EXPECT_EQ(files.error().code, ExitCode::kConfig);
    EXPECT_NE(files.error().message.find(path), std::string::npos) << files.error().message;
    EXPECT_NE(files.error().message.find(what), std::string::npos) << files.error().message;
  }
  std::string root_, folder_;
};

TEST_F(PolicyFolderTest, IsBesideTheConfigurationAndNeedNotExist) {
  EXPECT_EQ(folder_, root_ + "/policies");
  const auto none = ReadPolicyFolder(root_ + "/nowhere");
  ASSERT_TRUE(none.has_value());
  EXPECT_TRUE(none->empty());
}

TEST_F(PolicyFolderTest, HoldsItsTomlFilesByName) {
  Write("b.toml", "b");
  Write("README", "no policy");
  Write("team.toml~", "an editor's");
  Write(".#team.toml", "an editor's");
  const auto files = ReadPolicyFolder(folder_);
  ASSERT_TRUE(files.has_value()) << files.error().message;
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].file, "b.toml");
  EXPECT_EQ((*files)[1].name, "team");
  EXPECT_EQ((*files)[1].text, kText);
}

TEST_F(PolicyFolderTest, TravelsWholeInItsParcel) {
  const auto files = ReadPolicyFolder(folder_);
  auto parcel = PackPolicies(*files);
  ASSERT_TRUE(parcel.has_value());
  EXPECT_EQ(write(parcel->get(), "x", 1), -1) << "sealed";
  const auto unpacked = UnpackPolicies(std::move(*parcel));
  ASSERT_TRUE(unpacked.has_value()) << unpacked.error().message;
  ASSERT_EQ(unpacked->size(), 1u);
  EXPECT_EQ((*unpacked)[0].text, kText);
  EXPECT_EQ((*unpacked)[0].name, "team");
  EXPECT_FALSE(UnpackPolicies(UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC))).has_value());
}

TEST_F(PolicyFolderTest, WhoeverElseCouldHaveWrittenDecidesNothing) {
  Write("team.toml", kText, 0664);
  Refused("team.toml", "written by others");
  Write("team.toml", kText, 0646);
  Refused("team.toml", "written by others");
  Write("team.toml", kText);
  chmod(folder_.c_str(), 0777);
  Refused(folder_, "written by others");
  chmod(folder_.c_str(), 0755);
  chmod(root_.c_str(), 0777);
  Refused(root_, "written by others");
  chmod(root_.c_str(), 0755);
  EXPECT_TRUE(ReadPolicyFolder(folder_).has_value());
  if (geteuid() != 0) return;
  ASSERT_EQ(chown(Path("team.toml").c_str(), 4321, 0), 0);
  Refused("team.toml", "make it yours");
  ASSERT_EQ(chown(Path("team.toml").c_str(), 0, 0), 0);
  ASSERT_EQ(chown(folder_.c_str(), 4321, 0), 0);
  Refused(folder_, "make it yours");
}

TEST_F(PolicyFolderTest, OnlyRegularFilesAreReadAndNothingWaits) {
  ASSERT_EQ(mkfifo(Path("a.toml").c_str(), 0644), 0);
  Refused("a.toml", "regular file");
  fs::remove(Path("a.toml"));
  fs::create_directory(Path("a.toml"));
  Refused("a.toml", "regular file");
  fs::remove(Path("a.toml"));
  ASSERT_EQ(symlink(Path("team.toml").c_str(), Path("a.toml").c_str()), 0);
  Refused("a.toml", "is a link");
  fs::remove(Path("a.toml"));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, Path("a.toml").c_str(), sizeof address.sun_path - 1);
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_FALSE(ReadPolicyFolder(folder_).has_value());
}

TEST_F(PolicyFolderTest, AFolderIsNoLink) {
  fs::rename(folder_, root_ + "/elsewhere");
  ASSERT_EQ(symlink((root_ + "/elsewhere").c_str(), folder_.c_str()), 0);
  Refused(folder_, "link");
  fs::remove(folder_);
  std::ofstream(folder_) << "a file";
  Refused(folder_, "no folder");
}

TEST_F(PolicyFolderTest, TenMegabytesAreTooManyAndOnlyTheBeginningIsRead) {
  Write("a.toml", std::string(10 << 20, '#'));
  Refused("a.toml", "KiB");
  const UniqueFd sparse(open(Path("a.toml").c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  ASSERT_EQ(ftruncate(sparse.get(), off_t{1} << 40), 0);
  Refused("a.toml", "KiB");
}

TEST_F(PolicyFolderTest, TenThousandFilesAreTooMany) {
  for (int i = 0; i < 10'000; ++i) {
    const UniqueFd file(
        open(Path(std::to_string(i) + ".toml").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_TRUE(file.valid());
  }
  Refused(folder_, "more than 64 policy files");
}

TEST_F(PolicyFolderTest, AllTogetherTheyFitIntoOneParcel) {
  for (int i = 0; i < 20; ++i)
    Write(std::to_string(i) + ".toml", std::string(policy::kMaxPolicyBytes, '#'));
  Refused(folder_, "2 MiB");
  for (int i = 0; i < 14; ++i) fs::remove(Path(std::to_string(i) + ".toml"));
  const auto files = ReadPolicyFolder(folder_);
  ASSERT_TRUE(files.has_value()) << files.error().message;
  auto parcel = PackPolicies(*files);
  ASSERT_TRUE(parcel.has_value());
  EXPECT_TRUE(UnpackPolicies(std::move(*parcel)).has_value());
}

TEST_F(PolicyFolderTest, WhatIsNotUtf8NamesItsLine) {
  Write("a.toml", "krux = 1\nname = \"a\"\n# \xff\xfe\n");
  Refused("a.toml:3:1: ", "UTF-8");
  fs::remove(Path("a.toml"));
  Write("\xff.toml", kText);
  Refused(folder_, "rename it");
}

// Somebody writes in place, or renames, while it is read: the old text, the new one, or refused;
// never a mixture.
TEST_F(PolicyFolderTest, AFileThatChangesWhileItIsReadIsNeverAMixture) {
  const std::string a(200'000, 'a'), b(200'000, 'b');
  Write("team.toml", a);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (bool odd = false; !stop; odd = !odd) {
      const std::string& text = odd ? a : b;
      const UniqueFd file(open(Path("team.toml").c_str(), O_WRONLY | O_CLOEXEC));
      if (pwrite(file.get(), text.data(), text.size(), 0) < 0) stop = true;
      std::ofstream(root_ + "/next") << text;
      fs::rename(root_ + "/next", Path("team.toml"));
    }
  });
  for (int i = 0; i < 300; ++i) {
    const auto files = ReadPolicyFolder(folder_);
    if (!files) continue;
    const std::string& text = (*files)[0].text;
    EXPECT_TRUE(text == a || text == b);
  }
  stop = true;
  writer.join();
  const auto files = ReadPolicyFolder(folder_);
  ASSERT_TRUE(files.has_value()) << files.error().message;
}

}  // namespace
}  // namespace krux::gateway
