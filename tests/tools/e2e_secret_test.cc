// Secrets as a user meets them, as root with users for the daemons and as an ordinary user: what
// programs and file calls see of a `.env`, what happens when somebody replaces it, what the log
// says.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

#include "tests/tools/krux_process.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

namespace fs = std::filesystem;
constexpr uid_t kSomebody = 61237;

class SecretTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam() && geteuid() != 0) GTEST_SKIP() << "the other half is the rootless one then";
    if (GetParam()) programs_ = std::make_unique<Programs>();
    gateway_ = GetParam() ? std::make_unique<PrivateGateway>(kSomebody, programs_->krux())
                          : std::make_unique<PrivateGateway>();
    ASSERT_EQ(gateway_->Start().exit, 0);
  }
  Ran Exec(std::vector<std::string> words) const {
    words.insert(words.begin(), {"call", "--profile", "local_dev", "proc.exec", "--"});
    return gateway_->Krux(words);
  }
  std::string Path(const std::string& name) const { return gateway_->Path(name); }
  void Put(const std::string& name, const std::string& content) const {
    fs::create_directories(fs::path(Path(name)).parent_path());
    WriteFile(Path(name), content);
    if (!GetParam()) return;
    for (const auto& entry : fs::recursive_directory_iterator(gateway_->work()))
      ASSERT_EQ(lchown(entry.path().c_str(), kSomebody, kSomebody), 0);
  }
  // How many records say that a secret came in sight.
  size_t Losses() const {
    const std::string log = gateway_->Krux({"audit", "cat", "-o", "jsonl"}).out;
    size_t found = 0;
    for (size_t at = log.find("secret_mask_lost"); at != std::string::npos;
         at = log.find("secret_mask_lost", at + 1))
      ++found;
    return found;
  }

  std::unique_ptr<Programs> programs_;
  std::unique_ptr<PrivateGateway> gateway_;
};

TEST_P(SecretTest, AProgramSeesAnEmptyEnvironmentFileAlsoOneThatComesLater) {
  Put(".env", "TOKEN=hunter2\n");
  Put("notes", "seen");
  Ran ran = Exec({"cat", ".env"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(Exec({"cat", "notes"}).out, "seen");

  // Replaced as editors do it, between two calls.
  Put("new", "TOKEN=hunter3\n");
  fs::rename(Path("new"), Path(".env"));
  ran = Exec({"cat", ".env"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, "");
  // Removed, and made where there was none.
  fs::remove(Path(".env"));
  ran = Exec({"cat", ".env"});
  EXPECT_EQ(ran.exit, 1) << ran.err;
  Put("sub/.env.local", "TOKEN=hunter4\n");
  Put(".env", "TOKEN=hunter5\n");
  ran = Exec({"cat", ".env", "sub/.env.local"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(gateway_->Krux({"audit", "verify"}).exit, 0);
}

TEST_P(SecretTest, OneThatIsReplacedWhileAProgramRunsEndsIt) {
  Put(".env", "TOKEN=hunter2\n");
  Put("new", "TOKEN=hunter3\n");
  EXPECT_EQ(Losses(), 0u);
  Ran ran;
  std::thread caller([&] {
    ran = Exec({"sh", "-c", "echo > begun; for i in $(seq 300); do cat .env; sleep 0.1; done"});
  });
  for (int i = 0; i < 2000 && !fs::exists(Path("begun")); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  fs::rename(Path("new"), Path(".env"));
  caller.join();
  EXPECT_EQ(ran.exit, 1);
  EXPECT_EQ(ran.out, "") << "what it printed is withheld";
  EXPECT_NE(ran.err.find("`" + Path(".env") + "` is secret ("), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("made or replaced while programs could see it"), std::string::npos);
  EXPECT_EQ(Losses(), 1u);
  EXPECT_EQ(Exec({"cat", ".env"}).out, "");
  EXPECT_EQ(gateway_->Krux({"audit", "verify"}).exit, 0);
}

TEST_P(SecretTest, FileCallsRefuseItByNameAndThroughALink) {
  Put(".env", "TOKEN=hunter2\n");
  fs::create_symlink(".env", Path("link"));
  for (const char* profile : {"read_only", "local_dev"}) {
    Ran ran = gateway_->Krux({"call", "--profile", profile, "fs.read", ".env"});
    EXPECT_EQ(ran.exit, 77);
    EXPECT_NE(ran.err.find("is secret by the policy"), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find(" paths.secret"), std::string::npos) << "the line: " << ran.err;
    ran = gateway_->Krux({"call", "--profile", profile, "fs.read", "link"});
    EXPECT_EQ(ran.exit, 77) << ran.err;
    EXPECT_EQ(ran.out, "");
    EXPECT_NE(ran.err.find("which is secret"), std::string::npos) << ran.err;
    ran = gateway_->Krux({"call", "--profile", profile, "-o", "json", "fs.list", "."});
    EXPECT_EQ(ran.out.find(".env"), std::string::npos) << ran.out;
    EXPECT_NE(ran.out.find("\"hidden\": 1"), std::string::npos) << ran.out;
    EXPECT_EQ(gateway_->Krux({"call", "--profile", profile, "fs.stat", ".env"}).exit, 77);
  }
  EXPECT_EQ(gateway_->Krux({"call", "--profile", "local_dev", "fs.write", ".env", "x"}).exit, 77);
  EXPECT_EQ(ReadFile(Path(".env")), "TOKEN=hunter2\n");
}

TEST_P(SecretTest, TooManyAreRefusedWithTheirNumber) {
  for (int i = 0; i < 70; ++i) Put("d" + std::to_string(i) + "/.env", "x");
  const Ran ran = Exec({"true"});
  EXPECT_EQ(ran.exit, 77);
  EXPECT_NE(ran.err.find("70 paths"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("nothing ran"), std::string::npos) << ran.err;
  EXPECT_EQ(gateway_->Krux({"call", "--profile", "local_dev", "fs.list", "d1"}).exit, 0);
}

INSTANTIATE_TEST_SUITE_P(Modes, SecretTest, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "rootless" : "own"; });

}  // namespace
}  // namespace krux::tools
