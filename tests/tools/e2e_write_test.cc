// fs.write as its user sees it, as root with users for the daemons and as an ordinary user: what
// the file holds and whose it is, what the record says, what is refused and by which rule.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "base/digest.h"
#include "tests/tools/krux_process.h"
#include "tests/tools/small_disk.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

constexpr uid_t kSomebody = 61236;
constexpr size_t kMaxContent = 16 << 20;

cbor::Map Json(const Ran& ran) {
  const Result<cbor::Value> value = ParseJson(ran.out);
  if (!value || value->map() == nullptr) {
    ADD_FAILURE() << "not JSON: " << ran.out << ran.err;
    return {};
  }
  return *value->map();
}

// data.before.sha256 is At(answer, {"data", "before", "sha256"}).
cbor::Value At(const cbor::Map& map, const std::vector<const char*>& keys) {
  const cbor::Map* here = &map;
  const cbor::Value* found = nullptr;
  for (const char* key : keys) {
    found = here != nullptr ? here->Find(key) : nullptr;
    if (found == nullptr) return nullptr;
    here = found->map();
  }
  return *found;
}

class WriteTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam() && geteuid() != 0) GTEST_SKIP() << "the other half is the rootless one then";
    if (GetParam()) programs_ = std::make_unique<Programs>();
    gateway_ = GetParam() ? std::make_unique<PrivateGateway>(kSomebody, programs_->krux())
                          : std::make_unique<PrivateGateway>();
    ASSERT_EQ(gateway_->Start().exit, 0);
  }

  Ran Write(std::vector<std::string> words, const RunOptions& options = {}) const {
    words.insert(words.begin(), {"call", "--profile", "local_dev", "-o", "json", "fs.write"});
    return gateway_->Krux(words, options);
  }
  std::string Path(const std::string& name) const { return gateway_->Path(name); }
  void Put(const std::string& name, const std::string& content, mode_t mode = 0644) const {
    WriteFile(Path(name), content);
    Own(Path(name));
    ASSERT_EQ(chmod(Path(name).c_str(), mode), 0);
  }
  static void Own(const std::string& path) {
    if (GetParam()) {
      ASSERT_EQ(lchown(path.c_str(), kSomebody, kSomebody), 0);
    }
  }
  static uid_t Caller() { return GetParam() ? kSomebody : geteuid(); }
  struct stat Stat(const std::string& name) const {
    struct stat stat = {};
    EXPECT_EQ(lstat(Path(name).c_str(), &stat), 0) << name;
    return stat;
  }
  // Nothing that a call left beside the files.
  void ExpectNoTemporary() const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(gateway_->work()))
      EXPECT_FALSE(entry.path().filename().string().starts_with(".krux-")) << entry.path();
  }

  std::unique_ptr<Programs> programs_;
  std::unique_ptr<PrivateGateway> gateway_;
};

TEST_P(WriteTest, ANewFileBelongsToTheCaller) {
  const Ran ran = Write({"file", "hello"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ReadFile(Path("file")), "hello");
  const struct stat stat = Stat("file");
  EXPECT_EQ(stat.st_uid, Caller());
  EXPECT_EQ(stat.st_gid, GetParam() ? kSomebody : getegid());
  EXPECT_EQ(stat.st_mode, S_IFREG | 0644u);
  EXPECT_EQ(At(Json(ran), {"data", "before", "existed"}), cbor::Value(false));
  EXPECT_EQ(gateway_->Krux({"call", "fs.read", "file"}).out, "hello");
  ExpectNoTemporary();
}

TEST_P(WriteTest, AReplacedFileKeepsItsModeAndItsOtherNameAndIsInTheRecord) {
  Put("file", "old", 06750);
  const std::string other = gateway_->root() + "/other-name";
  ASSERT_EQ(link(Path("file").c_str(), other.c_str()), 0);
  const Ran ran = Write({"file", "new"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ReadFile(Path("file")), "new");
  EXPECT_EQ(ReadFile(other), "old");
  EXPECT_EQ(Stat("file").st_mode, S_IFREG | 0750u) << "no setuid, no setgid";
  EXPECT_EQ(Stat("file").st_uid, Caller());
  const cbor::Map answer = Json(ran);
  const std::string before = ToHex(Sha256(std::string_view("old")));
  const std::string after = ToHex(Sha256(std::string_view("new")));
  EXPECT_EQ(At(answer, {"data", "before", "sha256"}), cbor::Value(before));
  EXPECT_EQ(At(answer, {"data", "after", "sha256"}), cbor::Value(after));

  const std::string seq = std::to_string(*At(answer, {"seq"}).uint());
  const cbor::Map shown = Json(gateway_->Krux({"audit", "show", seq, "-o", "json"}));
  const cbor::Array records = *At(shown, {"records"}).array();
  ASSERT_EQ(records.size(), 2U);
  const std::string intent = cbor::Diagnostic(records[0]);
  EXPECT_NE(intent.find(after), std::string::npos) << "the content by its digest: " << intent;
  const cbor::Value said = At(*records[1].map(), {"result", "before"});
  ASSERT_NE(said.map(), nullptr) << cbor::Diagnostic(records[1]);
  EXPECT_EQ(*said.map()->Find("existed"), cbor::Value(true));
  EXPECT_EQ(*said.map()->Find("bytes"), cbor::Value(3u));
  EXPECT_EQ(*said.map()->Find("sha256"), cbor::Value(before));
  EXPECT_EQ(At(*records[1].map(), {"result", "after", "sha256"}), cbor::Value(after));
  EXPECT_EQ(gateway_->Krux({"audit", "verify"}).exit, 0);
}

TEST_P(WriteTest, ContentOfAnySizeAndAnyBytesRoundTrips) {
  std::string bytes;
  for (size_t i = 0; bytes.size() < kMaxContent; ++i) bytes += static_cast<char>(i * 167 >> 4);
  const std::string source = gateway_->root() + "/source";
  for (const size_t size : {size_t{0}, size_t{3}, size_t{17} * 1024, kMaxContent}) {
    WriteFile(source, bytes.substr(0, size));
    const Ran ran = Write({"file", "--stdin"}, {.stdin_file = source});
    ASSERT_EQ(ran.exit, 0) << ran.err;
    EXPECT_TRUE(ReadFile(Path("file")) == bytes.substr(0, size)) << size;
    EXPECT_EQ(At(Json(ran), {"data", "after", "bytes"}), cbor::Value(uint64_t{size}));
  }
  EXPECT_EQ(Write({"words", "content=\xff\xfe=\x80"}).exit, 0);
  EXPECT_EQ(ReadFile(Path("words")), "\xff\xfe=\x80");
  const std::string long_word(40'000, 'w');
  EXPECT_EQ(Write({"words", "content=" + long_word}).exit, 0) << "more than a call carries inline";
  EXPECT_EQ(ReadFile(Path("words")), long_word);
  EXPECT_EQ(Write({"words", "@" + source}).exit, 0);
  EXPECT_EQ(ReadFile(Path("words")), "@" + source) << "a word is content, never a file's name";
}

TEST_P(WriteTest, AProgramReadsTheSameWayWhatItIsGiven) {
  const std::string source = gateway_->root() + "/source";
  std::string bytes(kMaxContent, 'p');
  bytes.back() = '\xff';
  WriteFile(source, bytes);
  const auto run = [&](std::vector<std::string> words, const RunOptions& options) {
    words.insert(words.begin(), {"call", "--profile", "local_dev", "proc.exec"});
    return gateway_->Krux(words, options);
  };
  const Ran sum = run({"--stdin", "--", "sha256sum"}, {.stdin_file = source});
  EXPECT_EQ(sum.out, ToHex(Sha256(bytes)) + "  -\n") << sum.err;
  EXPECT_EQ(run({"--", "cat"}, {.stdin_text = "not passed on"}).out, "");
  EXPECT_EQ(run({"--stdin", "--", "cat"}, {.stdin_text = "passed on"}).out, "passed on");
  EXPECT_EQ(run({"--stdin", "--", "cat"}, {.stdin_terminal = true}).exit, 64);
}

TEST_P(WriteTest, WhatCannotBeSentIsSaidAndNothingIsSent) {
  Put("file", "old");
  const std::string source = gateway_->root() + "/source";
  WriteFile(source, std::string(kMaxContent + 1, 'x'));
  const Ran large = Write({"file", "--stdin"}, {.stdin_file = source});
  EXPECT_EQ(large.exit, 65);
  EXPECT_NE(large.err.find("16 MiB"), std::string::npos) << large.err;
  EXPECT_EQ(Write({"file", "--stdin"}, {.stdin_terminal = true}).exit, 64);
  EXPECT_EQ(Write({"file", "content=a", "--stdin"}).exit, 65) << "twice";
  EXPECT_EQ(Write({"file"}).exit, 65) << "no content";
  EXPECT_EQ(gateway_->Krux({"call", "fs.read", "file", "--stdin"}).exit, 65);
  EXPECT_EQ(ReadFile(Path("file")), "old");
}

TEST_P(WriteTest, APreconditionThatDoesNotHoldIsOneAndTheFileStays) {
  Put("file", "old");
  const std::string old = ToHex(Sha256(std::string_view("old")));
  const std::string other = ToHex(Sha256(std::string_view("other")));
  EXPECT_EQ(Write({"file", "new", "expect=" + other}).exit, 1);
  EXPECT_EQ(Write({"file", "new", "expect=absent"}).exit, 1);
  EXPECT_EQ(Write({"none", "new", "expect=" + old}).exit, 1);
  EXPECT_EQ(Write({"file", "new", "expect=OLD"}).exit, 65);
  EXPECT_EQ(ReadFile(Path("file")), "old");
  EXPECT_FALSE(std::filesystem::exists(Path("none")));
  EXPECT_EQ(Write({"file", "new", "expect=" + old}).exit, 0);
  EXPECT_EQ(Write({"none", "new", "expect=absent"}).exit, 0);
  ExpectNoTemporary();
}

TEST_P(WriteTest, ThePolicyIsAskedFirst) {
  Put("file", "old");
  const Ran read_only = gateway_->Krux({"call", "fs.write", "file", "new"});
  EXPECT_EQ(read_only.exit, 77);
  EXPECT_NE(read_only.err.find("levels.write_files"), std::string::npos) << read_only.err;
  const std::string outside = gateway_->root() + "/outside";
  for (const std::string& path :
       {outside, std::string("../outside"), std::string("a/../../outside")}) {
    const Ran ran = Write({path, "new"});
    EXPECT_EQ(ran.exit, 77) << path;
    EXPECT_NE(ran.err.find("paths.write"), std::string::npos) << ran.err;
  }
  EXPECT_FALSE(std::filesystem::exists(outside));
  std::filesystem::create_directories(Path(".git/hooks"));
  EXPECT_EQ(Write({".git/hooks/pre-commit", "new"}).exit, 75) << "git runs it unasked";
  EXPECT_FALSE(std::filesystem::exists(Path(".git/hooks/pre-commit")));
  EXPECT_EQ(Write({"--args", R"({"path":"a\u0000b","content":"new"})"}).exit, 65);
  EXPECT_EQ(Write({"no/such/folder/file", "new"}).exit, 66);
  EXPECT_EQ(ReadFile(Path("file")), "old");
}

TEST_P(WriteTest, OnlyRegularFilesInsideTheGrantAreReplaced) {
  Put("target", "old");
  std::filesystem::create_directory(Path("dir"));
  Own(Path("dir"));
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0666), 0);
  const std::string outside = gateway_->root() + "/outside";
  std::filesystem::create_directory(outside);
  Own(outside);
  ASSERT_EQ(symlink("target", Path("link").c_str()), 0);
  ASSERT_EQ(symlink(outside.c_str(), Path("away").c_str()), 0);
  ASSERT_EQ(symlink("../outside", Path("up").c_str()), 0);
  for (const char* name : {"link", "dir", "pipe", "."}) EXPECT_EQ(Write({name, "new"}).exit, 65);
  for (const char* name : {"away/file", "up/file"}) EXPECT_EQ(Write({name, "new"}).exit, 77);
  EXPECT_EQ(ReadFile(Path("target")), "old");
  EXPECT_TRUE(std::filesystem::is_empty(outside));
  ExpectNoTemporary();
}

TEST(WriteDisk, AFullDiskLeavesTheOldFileAndNothingBesideIt) {
  if (geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  const PrivateGateway gateway;
  SmallDisk disk(SmallDisk::kTmpfs, gateway.work(), 4);
  ASSERT_TRUE(disk.mounted());
  WriteFile(gateway.Path("file"), "old");
  disk.Fill();
  const std::string source = gateway.root() + "/source";
  WriteFile(source, std::string(1 << 20, 'x'));
  const std::vector<std::string> words = {"call",     "--profile", "local_dev",
                                          "fs.write", "file",      "--stdin"};
  const Ran full = gateway.Krux(words, {.cwd = gateway.work(), .stdin_file = source});
  EXPECT_EQ(full.exit, 1) << full.err;
  EXPECT_NE(full.err.find("No space left"), std::string::npos) << full.err;
  EXPECT_EQ(ReadFile(gateway.Path("file")), "old");
  for (const auto& entry : std::filesystem::directory_iterator(gateway.work()))
    EXPECT_FALSE(entry.path().filename().string().starts_with(".krux-")) << entry.path();
  disk.Free();
  EXPECT_EQ(gateway.Krux(words, {.cwd = gateway.work(), .stdin_file = source}).exit, 0);
  EXPECT_EQ(ReadFile(gateway.Path("file")).size(), size_t{1} << 20);
  EXPECT_EQ(gateway.Krux({"gateway", "stop"}).exit, 0);
}

INSTANTIATE_TEST_SUITE_P(Modes, WriteTest, testing::Bool(),
                         [](const auto& row) { return row.param ? "Rootless" : "Root"; });

}  // namespace
}  // namespace krux::tools
