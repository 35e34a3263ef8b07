// fs.write in a forked child under the filter of its class: what becomes of the file, of what stood
// there before, and of what lies beside it.
#include "runtime/worker/write_call.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/unique_fd.h"
#include "tests/runtime/worker/serving.h"

namespace krux::runtime {
namespace {

// sha256sum of nothing, of "old" and of "new".
constexpr char kNothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr char kOld[] = "cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4";
constexpr char kNew[] = "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437";

std::string FileContent(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

mode_t Mode(const std::string& path) {
  struct stat stat = {};
  EXPECT_EQ(lstat(path.c_str(), &stat), 0) << path;
  return stat.st_mode & 07777;
}

// What lies in `folder` and was not named here.
std::string Leftovers(const std::string& folder) {
  std::string names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(kTemporaryPrefix)) names += name + " ";
  }
  return names;
}

Request WriteTo(const std::string& root, const std::string& path, std::string_view content) {
  Request request{"fs.write", cbor::Map{{"path", path}}, {{root, true, true, false}}};
  request.args.Set("content", cbor::Bytes(content.begin(), content.end()));
  request.read_scope = request.write_scope = ScopeOf({"${WORK}/**"}, root);
  request.work = root;
  return request;
}

Served Write(const Request& request, ServeOptions options = {}) {
  options.work_class = sandbox::WorkClass::kWrite;
  return ServeCall(request, options);
}

Served Write(const TempTree& tree, std::string_view name, std::string_view content) {
  return Write(WriteTo(tree.path(), tree / name, content));
}

const cbor::Value* Field(const Served& served, const char* part, const char* name) {
  const cbor::Value* map = served.data.Find(part);
  return map != nullptr && map->map() != nullptr ? map->map()->Find(name) : nullptr;
}

std::string Digest(const Served& served, const char* part) {
  const cbor::Value* value = Field(served, part, "sha256");
  return value != nullptr && value->text() != nullptr ? *value->text() : "(none)";
}

TEST(FsWriteTest, ANewFileHasItsContentAndMode0644WhateverTheUmask) {
  TempTree tree;
  for (const mode_t mask : {0000, 0022, 0777}) {
    const std::string name = "new-" + std::to_string(mask);
    const Served served =
        Write(WriteTo(tree.path(), tree / name, "new"), {.before = [mask] { umask(mask); }});
    EXPECT_EQ(served.exit, 0);
    EXPECT_EQ(served.code, ExitCode::kOk) << served.message;
    EXPECT_EQ(FileContent(tree / name), "new");
    EXPECT_EQ(Mode(tree / name), 0644u);
    EXPECT_EQ(*Field(served, "before", "existed"), cbor::Value(false));
    EXPECT_EQ(Field(served, "before", "sha256"), nullptr);
    EXPECT_EQ(Digest(served, "after"), kNew);
    EXPECT_EQ(*Field(served, "after", "bytes"), cbor::Value(3u));
  }
  EXPECT_EQ(Leftovers(tree.path()), "");
}

TEST(FsWriteTest, AnOldFileIsReplacedAndItsDigestTold) {
  TempTree tree;
  tree.Write("file", "old");
  const Served served = Write(tree, "file", "new");
  EXPECT_EQ(served.code, ExitCode::kOk) << served.message;
  EXPECT_EQ(FileContent(tree / "file"), "new");
  EXPECT_EQ(*Field(served, "before", "existed"), cbor::Value(true));
  EXPECT_EQ(*Field(served, "before", "bytes"), cbor::Value(3u));
  EXPECT_EQ(Digest(served, "before"), kOld);
  EXPECT_EQ(Digest(served, "after"), kNew);
  EXPECT_EQ(served.Text("path"), tree / "file");
  const Served empty = Write(tree, "file", "");
  EXPECT_EQ(empty.code, ExitCode::kOk) << empty.message;
  EXPECT_EQ(FileContent(tree / "file"), "");
  EXPECT_EQ(Digest(empty, "before"), kNew);
  EXPECT_EQ(Digest(empty, "after"), kNothing);
}

TEST(FsWriteTest, PermissionsStayAndSetuidGoes) {
  TempTree tree;
  for (const mode_t mode : {0600, 0755, 0640, 04755, 02755, 06777, 01666}) {
    tree.Write("file", "old");
    ASSERT_EQ(chmod((tree / "file").c_str(), mode), 0);
    const Served served = Write(tree, "file", "new");
    EXPECT_EQ(served.code, ExitCode::kOk) << served.message;
    EXPECT_EQ(Mode(tree / "file"), mode & 0777u) << std::oct << mode;
    EXPECT_EQ(served.Number("mode"), mode & 0777u);
  }
}

// The new file has the caller's group: what the old group might do with it is not the new one's.
TEST(FsWriteTest, AnotherGroupGainsNothing) {
  if (geteuid() != 0) GTEST_SKIP() << "giving files away needs root";
  TempTree tree;
  const std::pair<mode_t, mode_t> rows[] = {{0660, 0600}, {0664, 0644}, {0640, 0600},
                                            {0777, 0777}, {0750, 0700}, {0606, 0606}};
  for (const auto& [old_mode, new_mode] : rows) {
    tree.Write("file", "old");
    ASSERT_EQ(chown((tree / "file").c_str(), 0, 4711), 0);
    ASSERT_EQ(chmod((tree / "file").c_str(), old_mode), 0);
    EXPECT_EQ(Write(tree, "file", "new").code, ExitCode::kOk);
    EXPECT_EQ(Mode(tree / "file"), new_mode) << std::oct << old_mode;
  }
}

TEST(FsWriteTest, TheMaskOfAnAccessListIsNoPermissionOfTheGroup) {
  TempTree tree;
  tree.Write("file", "old");
  // acl(5), as the kernel stores it: user::rw-, user:4711:rw-, group::---, mask::rw-, other::---.
  const struct {
    uint32_t version;
    struct {
      uint16_t tag, perm;
      uint32_t id;
    } entries[5];
  } acl = {2, {{1, 6, ~0u}, {2, 6, 4711}, {4, 0, ~0u}, {16, 6, ~0u}, {32, 0, ~0u}}};
  if (setxattr((tree / "file").c_str(), "system.posix_acl_access", &acl, sizeof acl, 0) != 0)
    GTEST_SKIP() << "no access lists on this file system";
  ASSERT_EQ(Mode(tree / "file"), 0660u);
  EXPECT_EQ(Write(tree, "file", "new").code, ExitCode::kOk);
  EXPECT_EQ(Mode(tree / "file"), 0600u);
}

// Regression of a danger, not of a defect: a file rewritten in place would change under its other
// name, and keep a setuid bit where it is written through a mapping.
TEST(FsWriteTest, AnotherNameOfTheOldFileKeepsTheOldContent) {
  TempTree tree, outside;
  tree.Write("file", "old");
  ASSERT_EQ(link((tree / "file").c_str(), (outside / "other").c_str()), 0);
  const UniqueFd open_before(open((tree / "file").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(Write(tree, "file", "new").code, ExitCode::kOk);
  EXPECT_EQ(FileContent(tree / "file"), "new");
  EXPECT_EQ(FileContent(outside / "other"), "old");
  char text[8] = {};
  EXPECT_EQ(pread(open_before.get(), text, sizeof text, 0), 3);
  EXPECT_STREQ(text, "old");
}

TEST(FsWriteTest, OnlyRegularFilesAreReplaced) {
  TempTree tree;
  tree.Write("target", "old");
  tree.Link("link", "target");
  tree.Link("dangling", "nowhere");
  std::filesystem::create_directory(tree / "dir");
  ASSERT_EQ(mkfifo((tree / "pipe").c_str(), 0666), 0);
  for (const char* name : {"link", "dangling", "dir", "pipe", ""}) {
    const Served served =
        Write(WriteTo(tree.path(), name[0] == '\0' ? tree.path() : tree / name, "new"));
    EXPECT_EQ(served.code, ExitCode::kBadData) << name << ": " << served.message;
    EXPECT_EQ(served.data.Find("after"), nullptr) << name;
  }
  EXPECT_EQ(FileContent(tree / "target"), "old");
  EXPECT_TRUE(std::filesystem::is_symlink(tree / "link"));
  EXPECT_FALSE(std::filesystem::exists(tree / "nowhere"));
  EXPECT_EQ(Leftovers(tree.path()), "");
}

TEST(FsWriteTest, LinksOnTheWayAreFollowedInsideTheGrantAndNowhereElse) {
  TempTree tree, outside;
  std::filesystem::create_directory(tree / "dir");
  tree.Link("inside", "dir");
  tree.Link("deep/up", "../dir");
  tree.Link("absolute", outside.path());
  tree.Link("climbs", "../" + std::filesystem::path(outside.path()).filename().string());
  const Served served = Write(tree, "inside/file", "new");
  EXPECT_EQ(served.code, ExitCode::kOk) << served.message;
  EXPECT_EQ(served.Text("path"), tree / "dir/file");
  EXPECT_EQ(Write(tree, "deep/up/other", "new").code, ExitCode::kOk);
  EXPECT_EQ(FileContent(tree / "dir/other"), "new");
  for (const char* name : {"absolute/file", "climbs/file"}) {
    EXPECT_EQ(Write(tree, name, "new").code, ExitCode::kDenied) << name;
  }
  EXPECT_TRUE(std::filesystem::is_empty(outside.path()));
}

TEST(FsWriteTest, TheDirectoryMustExist) {
  TempTree tree;
  tree.Write("file", "old");
  for (const char* name : {"no/file", "file/below"}) {
    const Served served = Write(tree, name, "new");
    EXPECT_EQ(served.code, ExitCode::kNotFound) << served.message;
  }
  EXPECT_FALSE(std::filesystem::exists(tree / "no"));
}

TEST(FsWriteTest, TheScopesAreMatchedOnThePathThatItReallyIs) {
  TempTree tree;
  std::filesystem::create_directories(tree / "docs");
  std::filesystem::create_directories(tree / "src");
  tree.Link("docs/way", "../src");
  tree.Write("src/file", "old");
  Request request = WriteTo(tree.path(), tree / "docs/way/file", "new");
  request.write_scope = ScopeOf({"${WORK}/docs/**"}, tree.path());
  const Served served = Write(request);
  EXPECT_EQ(served.code, ExitCode::kDenied);
  EXPECT_NE(served.message.find("paths.write"), std::string::npos) << served.message;
  request.write_scope = ScopeOf({"${WORK}/**"}, tree.path());
  request.read_scope = ScopeOf({"${WORK}/docs/**"}, tree.path());
  EXPECT_EQ(Write(request).code, ExitCode::kDenied) << "its digest would be told";
  EXPECT_EQ(FileContent(tree / "src/file"), "old");
}

TEST(FsWriteTest, APlaceThatIsRiskierThanItsNameIsRefused) {
  TempTree tree;
  std::filesystem::create_directories(tree / ".git/hooks");
  tree.Link("harmless", ".git/hooks");
  const Served served = Write(tree, "harmless/pre-commit", "new");
  EXPECT_EQ(served.code, ExitCode::kDenied) << served.message;
  EXPECT_TRUE(std::filesystem::is_empty(tree / ".git/hooks"));
  // By its own name it is the policy's to judge, which it has been by now.
  EXPECT_EQ(Write(tree, ".git/hooks/pre-commit", "new").code, ExitCode::kOk);
}

// The label of what is written hangs on the path that was asked for.
TEST(FsWriteTest, WhatWillCarryALabelGoesWhereItsNameSays) {
  TempTree tree;
  std::filesystem::create_directory(tree / "dir");
  tree.Link("way", "dir");
  Request past = WriteTo(tree.path(), tree / "way/file", "new");
  past.as_named = true;
  const Served served = Write(past);
  EXPECT_EQ(served.code, ExitCode::kDenied);
  EXPECT_NE(served.message.find(tree / "dir/file"), std::string::npos) << served.message;
  EXPECT_TRUE(std::filesystem::is_empty(tree / "dir"));
  Request named = WriteTo(tree.path(), tree / "dir/file", "new");
  named.as_named = true;
  EXPECT_EQ(Write(named).code, ExitCode::kOk);
  EXPECT_EQ(Write(tree, "way/file", "newer").code, ExitCode::kOk) << "without a label";
}

TEST(FsWriteTest, WhatIsExpectedIsAPrecondition) {
  TempTree tree;
  tree.Write("file", "old");
  const auto expecting = [&](const char* name, const char* expect) {
    Request request = WriteTo(tree.path(), tree / name, "new");
    request.args.Set("expect", expect);
    return Write(request);
  };
  const Served wrong = expecting("file", kNew);
  EXPECT_EQ(wrong.code, ExitCode::kFailed);
  EXPECT_EQ(Digest(wrong, "before"), kOld) << "what it is instead";
  EXPECT_EQ(wrong.data.Find("after"), nullptr);
  EXPECT_EQ(expecting("file", "absent").code, ExitCode::kFailed);
  EXPECT_EQ(expecting("absent", kOld).code, ExitCode::kFailed);
  EXPECT_EQ(FileContent(tree / "file"), "old");
  EXPECT_FALSE(std::filesystem::exists(tree / "absent"));
  EXPECT_EQ(expecting("file", kOld).code, ExitCode::kOk);
  EXPECT_EQ(FileContent(tree / "file"), "new");
  EXPECT_EQ(expecting("absent", "absent").code, ExitCode::kOk);
  EXPECT_EQ(FileContent(tree / "absent"), "new");
}

TEST(FsWriteTest, ContentOfEverySizeComesWholeFromTheMemfd) {
  TempTree tree;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{256} * 1024, (size_t{1} << 20) + 7}) {
    std::string content(size, '\0');
    for (size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 131 >> 3);
    Request request = WriteTo(tree.path(), tree / "file", "");
    request.args.Set("content", cbor::Map{{"bytes", uint64_t{size}}, {"sha256", cbor::Bytes(32)}});
    const Served served = Write(request, {.input = content});
    EXPECT_EQ(served.code, ExitCode::kOk) << served.message;
    EXPECT_TRUE(FileContent(tree / "file") == content) << size;
    EXPECT_EQ(*Field(served, "after", "bytes"), cbor::Value(uint64_t{size}));
  }
  Request request = WriteTo(tree.path(), tree / "file", "");
  request.args.Set("content", cbor::Map{{"bytes", 3u}, {"sha256", cbor::Bytes(32)}});
  EXPECT_EQ(Write(request).code, ExitCode::kInternal) << "content that did not come";
}

// RLIMIT_FSIZE stands in for a full disk: write(2) fails halfway.
TEST(FsWriteTest, AWriteThatFailsHalfwayLeavesTheOldFileAndNothingElse) {
  TempTree tree;
  tree.Write("file", "old");
  Request request = WriteTo(tree.path(), tree / "file", std::string(10'000, 'x'));
  const Served served = Write(request, {.before = [] {
                                signal(SIGXFSZ, SIG_IGN);
                                const rlimit limit = {4096, 4096};
                                setrlimit(RLIMIT_FSIZE, &limit);
                              }});
  EXPECT_EQ(served.code, ExitCode::kFailed) << served.message;
  EXPECT_NE(served.message.find("nothing was changed"), std::string::npos) << served.message;
  EXPECT_EQ(FileContent(tree / "file"), "old");
  EXPECT_EQ(Digest(served, "before"), kOld);
  EXPECT_EQ(Leftovers(tree.path()), "");
}

// The last moment at which a killed writer has changed nothing: by then its answer says what stood
// there.
TEST(FsWriteTest, BeforeTheRenameItSaysWhatStoodThere) {
  TempTree tree;
  tree.Write("file", "old");
  const Request request = WriteTo(tree.path(), tree / "file", "new");
  const Result<Content> content = Content::Of(request, "content", {});
  ASSERT_TRUE(content);
  int calls = 0;
  const Answer answer = FsWrite(request, *content, [&](const Answer& so_far) {
    ++calls;
    EXPECT_EQ(so_far.code, ExitCode::kFailed);
    EXPECT_EQ(*so_far.data.Find("before")->map()->Find("sha256"), cbor::Value(kOld));
    EXPECT_EQ(so_far.data.Find("after"), nullptr);
    EXPECT_EQ(FileContent(tree / "file"), "old");
    EXPECT_NE(Leftovers(tree.path()), "") << "the new content lies beside it";
  });
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(answer.code, ExitCode::kOk) << answer.message;
  EXPECT_EQ(FileContent(tree / "file"), "new");
}

TEST(FsWriteTest, WithoutTheRightToWriteNothingIsReplaced) {
  TempTree tree;
  tree.Write("file", "old");
  tree.Write("dir/file", "old");
  ASSERT_EQ(chmod((tree / "file").c_str(), 0444), 0);
  ASSERT_EQ(chmod((tree / "dir").c_str(), 0555), 0);
  // Root may write whatever the mode says.
  const auto before = [] {
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) _exit(96);
  };
  ASSERT_TRUE(geteuid() != 0 || (chown(tree.path().c_str(), 65534, 65534) == 0 &&
                                 chown((tree / "file").c_str(), 65534, 65534) == 0 &&
                                 chown((tree / "dir").c_str(), 65534, 65534) == 0 &&
                                 chown((tree / "dir/file").c_str(), 65534, 65534) == 0));
  for (const char* name : {"file", "dir/file", "dir/fresh"}) {
    const Served served = Write(WriteTo(tree.path(), tree / name, "new"), {.before = before});
    EXPECT_EQ(served.code, ExitCode::kFailed) << name << ": " << served.message;
  }
  EXPECT_EQ(FileContent(tree / "file"), "old");
  EXPECT_EQ(FileContent(tree / "dir/file"), "old");
  EXPECT_FALSE(std::filesystem::exists(tree / "dir/fresh"));
  chmod((tree / "dir").c_str(), 0755);
}

TEST(FsWriteTest, ARequestWithoutAGrantToWriteFindsNothing) {
  TempTree tree;
  Request request = WriteTo(tree.path(), tree / "file", "new");
  request.grants[0].write = false;
  EXPECT_EQ(Write(request).code, ExitCode::kNotFound);
  request = WriteTo(tree.path(), tree / "file" + std::string("\0x", 2), "new");
  EXPECT_EQ(Write(request).code, ExitCode::kBadData) << "a NUL ends the name for the kernel";
  request = WriteTo(tree.path(), tree / "file", "new");
  EXPECT_EQ(ServeCall(request).code, ExitCode::kInternal) << "in the class that reads";
  EXPECT_FALSE(std::filesystem::exists(tree / "file"));
}

}  // namespace
}  // namespace krux::runtime
