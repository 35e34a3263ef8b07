#include "runtime/worker/fs_calls.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "tests/runtime/worker/serving.h"

namespace krux::runtime {
namespace {

Served Call(const char* capability, const TempTree& tree, std::string_view name) {
  return ServeCall(FsCall(capability, tree.path(), name.empty() ? tree.path() : tree / name));
}

Served ReadAt(const TempTree& tree, std::string_view name, uint64_t offset, uint64_t limit,
              uint64_t capacity = 1 << 20) {
  Request request = FsCall("fs.read", tree.path(), tree / name);
  request.args.Set("offset", offset);
  request.args.Set("limit", limit);
  return ServeCall(request, {.capacity = capacity});
}

TEST(FsReadTest, GivesTheBytesOfTheFile) {
  TempTree tree;
  std::string all;
  for (int i = 0; i < 256 * 40; ++i) all += static_cast<char>(i);
  tree.Write("binary", all);
  tree.Write("empty", "");
  const Served served = Call("fs.read", tree, "binary");
  EXPECT_EQ(served.exit, 0);
  EXPECT_EQ(served.code, ExitCode::kOk) << served.message;
  EXPECT_EQ(served.bytes, all);
  EXPECT_FALSE(served.truncated);
  EXPECT_EQ(served.Number("size"), all.size());
  EXPECT_EQ(served.Text("path"), tree / "binary");
  const Served empty = Call("fs.read", tree, "empty");
  EXPECT_EQ(empty.code, ExitCode::kOk);
  EXPECT_EQ(empty.bytes, "");
  EXPECT_FALSE(empty.truncated);
}

TEST(FsReadTest, ALinkIsNoWayAroundWhatIsSensitive) {
  TempTree tree;
  tree.Write("a.pem", "key");
  tree.Link("harmless", "a.pem");
  Request request = FsCall("fs.read", tree.path(), tree / "harmless");
  request.sensitive = {*policy::CompilePath("**/*.pem", "t:1 paths.sensitive")};
  const Served served = ServeCall(request);
  EXPECT_EQ(served.code, ExitCode::kDenied);
  EXPECT_EQ(served.bytes, "");
  EXPECT_NE(served.message.find("a.pem"), std::string::npos) << served.message;
  request.sensitive.clear();
  EXPECT_EQ(ServeCall(request).bytes, "key");
}

TEST(FsReadTest, OffsetAndLimit) {
  TempTree tree;
  tree.Write("f", "0123456789");
  const auto bytes = [&](uint64_t offset, uint64_t limit) {
    const Served served = ReadAt(tree, "f", offset, limit);
    EXPECT_EQ(served.code, ExitCode::kOk) << served.message;
    return served.bytes + (served.truncated ? "…" : "");
  };
  EXPECT_EQ(bytes(0, 4), "0123…");
  EXPECT_EQ(bytes(4, 4), "4567…");
  EXPECT_EQ(bytes(8, 4), "89");
  EXPECT_EQ(bytes(6, 4), "6789") << "the end exactly";
  EXPECT_EQ(bytes(10, 4), "");
  EXPECT_EQ(bytes(1ull << 62, 4), "");
  EXPECT_EQ(bytes(0, 0), "…");
}

TEST(FsReadTest, WhatExceedsTheResultIsCutAndSaid) {
  TempTree tree;
  tree.Write("big", std::string(100'000, 'b'));
  const Served served = ReadAt(tree, "big", 0, 16 << 20, 4096);
  EXPECT_EQ(served.code, ExitCode::kOk);
  EXPECT_EQ(served.bytes, std::string(4096, 'b'));
  EXPECT_TRUE(served.truncated);
  EXPECT_EQ(served.Number("size"), 100'000u);
}

TEST(FsReadTest, HugeAndSparse) {
  TempTree tree;
  constexpr uint64_t kSize = 1ull << 40;
  const int fd = open((tree / "huge").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  ASSERT_EQ(ftruncate(fd, kSize), 0);
  ASSERT_EQ(pwrite(fd, "END", 3, kSize - 3), 3);
  close(fd);
  const Served start = ReadAt(tree, "huge", 0, 1000);
  EXPECT_EQ(start.bytes, std::string(1000, '\0'));
  EXPECT_TRUE(start.truncated);
  EXPECT_EQ(start.Number("size"), kSize);
  const Served end = ReadAt(tree, "huge", kSize - 5, 1000);
  EXPECT_EQ(end.bytes, std::string("\0\0END", 5));
  EXPECT_FALSE(end.truncated);
}

TEST(FsReadTest, OnlyRegularFiles) {
  TempTree tree;
  ASSERT_EQ(mkfifo((tree / "fifo").c_str(), 0600), 0);
  mkdir((tree / "dir").c_str(), 0700);
  const int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {AF_UNIX, {}};
  ASSERT_LT((tree / "sock").size(), sizeof address.sun_path);
  std::copy_n((tree / "sock").c_str(), (tree / "sock").size() + 1, address.sun_path);
  ASSERT_EQ(bind(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  tree.Link("to-fifo", "fifo");
  const struct {
    const char* name;
    const char* kind;
  } cases[] = {{"fifo", "is a pipe"},
               {"to-fifo", "is a pipe"},
               {"dir", "is a directory; list it with fs.list"},
               {"sock", "is a socket"}};
  for (const auto& one : cases) {
    const Served served = Call("fs.read", tree, one.name);
    EXPECT_EQ(served.code, ExitCode::kBadData) << one.name;
    EXPECT_NE(served.message.find(one.kind), std::string::npos) << served.message;
    EXPECT_EQ(served.bytes, "");
  }
  close(socket_fd);
  for (const char* device : {"/dev/zero", "/dev/null", "/dev/full"}) {
    const Served served = ServeCall(FsCall("fs.read", "/dev", device));
    EXPECT_EQ(served.code, ExitCode::kBadData) << device;
    EXPECT_NE(served.message.find("is a character device"), std::string::npos) << served.message;
  }
}

TEST(FsReadTest, MissingAndUngranted) {
  TempTree tree;
  EXPECT_EQ(Call("fs.read", tree, "none").code, ExitCode::kNotFound);
  const Served outside = ServeCall(FsCall("fs.read", tree.path(), "/etc/passwd"));
  EXPECT_EQ(outside.code, ExitCode::kNotFound) << "what was not granted does not exist";
  EXPECT_EQ(outside.bytes, "");
  Request write_only = FsCall("fs.read", tree.path(), tree / "a");
  tree.Write("a", "x");
  write_only.grants[0] = {tree.path(), false, true, false};
  EXPECT_EQ(ServeCall(write_only).code, ExitCode::kNotFound);
}

TEST(FsReadTest, AMessageAboutALongPathStaysShort) {
  TempTree tree;
  std::string path = tree.path();
  while (path.size() < 3800) path += "/é" + std::string(200, 'n');
  const Served served = ServeCall(FsCall("fs.read", tree.path(), path));
  EXPECT_EQ(served.code, ExitCode::kNotFound);
  EXPECT_LE(served.message.size(), 1024u);
  EXPECT_TRUE(served.message.ends_with("does not exist")) << served.message;
}

TEST(FsReadTest, TheScopeIsMatchedOnTheResolvedPath) {
  TempTree tree;
  tree.Write("public/a", "open");
  tree.Write("private/key", "SECRET");
  tree.Link("public/link", "../private/key");
  tree.Link("public/dir", "../private");
  tree.Link("private/back", "../public/a");
  const auto read = [&](const char* name) {
    Request request = FsCall("fs.read", tree.path(), tree / name);
    request.read_scope = ScopeOf({"${WORK}/public/**"}, tree.path());
    return ServeCall(request);
  };
  EXPECT_EQ(read("public/a").bytes, "open");
  for (const char* name : {"public/link", "public/dir/key", "private/key"}) {
    const Served served = read(name);
    EXPECT_EQ(served.code, ExitCode::kDenied) << name;
    EXPECT_EQ(served.bytes, "");
    EXPECT_NE(served.message.find("team:7 paths.read"), std::string::npos) << served.message;
  }
  Request none = FsCall("fs.read", tree.path(), tree / "public/a");
  none.read_scope = {};
  EXPECT_EQ(ServeCall(none).code, ExitCode::kDenied) << "no scope covers nothing";
}

std::vector<std::string> NamesOf(const Served& served) {
  std::vector<std::string> names;
  const cbor::Value* entries = served.data.Find("entries");
  if (entries == nullptr || entries->array() == nullptr) return {"(no entries)"};
  for (const cbor::Value& entry : *entries->array())
    names.push_back(*entry.map()->Find("name")->text());
  return names;
}

TEST(FsListTest, SortedNamesWithTypes) {
  TempTree tree;
  for (const char* name : {"b", "a", "B", "é", "a.txt", "-rf", ".hidden", "with space"})
    tree.Write(name, "");
  mkdir((tree / "dir").c_str(), 0700);
  mkfifo((tree / "fifo").c_str(), 0600);
  tree.Link("link", "nowhere");
  const Served served = Call("fs.list", tree, "");
  EXPECT_EQ(served.code, ExitCode::kOk) << served.message;
  EXPECT_EQ(NamesOf(served), (std::vector<std::string>{"-rf", ".hidden", "B", "a", "a.txt", "b",
                                                       "dir", "fifo", "link", "with space", "é"}));
  const cbor::Array& entries = *served.data.Find("entries")->array();
  EXPECT_EQ(*entries[6].map()->Find("type"), cbor::Value("dir"));
  EXPECT_EQ(*entries[7].map()->Find("type"), cbor::Value("pipe"));
  EXPECT_EQ(*entries[8].map()->Find("type"), cbor::Value("link"))
      << "the link, not what it points to";
  EXPECT_FALSE(served.truncated);
  EXPECT_EQ(served.Number("total"), 11u);
}

TEST(FsListTest, OddNamesAreReportedSafely) {
  TempTree tree;
  tree.Write("new\nline", "");
  tree.Write("\x1b[31mred", "");
  tree.Write("\xff\xfe", "");
  tree.Write(std::string(255, 'x'), "");
  const Served served = Call("fs.list", tree, "");
  EXPECT_EQ(NamesOf(served), (std::vector<std::string>{"\x1b[31mred", "new\nline",
                                                       std::string(255, 'x'), "\\xff\\xfe"}));
  const cbor::Map& odd = *(*served.data.Find("entries")->array())[3].map();
  ASSERT_NE(odd.Find("bytes"), nullptr);
  EXPECT_EQ(*odd.Find("bytes"), cbor::Value(cbor::Bytes{0xff, 0xfe}))
      << "the exact name is not lost";
}

TEST(FsListTest, PagesCoverEverythingOnce) {
  TempTree tree;
  std::vector<std::string> expected;
  for (int i = 0; i < 700; ++i) {
    std::string name = std::to_string(100'000 + i) + std::string(200, 'n');
    tree.Write(name, "");
    expected.push_back(std::move(name));
  }
  std::vector<std::string> seen;
  uint64_t offset = 0;
  int pages = 0;
  for (;;) {
    Request request = FsCall("fs.list", tree.path(), tree.path());
    request.args.Set("offset", offset);
    request.args.Set("limit", 1000u);
    const Served served = ServeCall(request);
    ASSERT_EQ(served.code, ExitCode::kOk) << served.message;
    EXPECT_LE(served.meta_bytes, 60u * 1024);
    for (std::string& name : NamesOf(served)) seen.push_back(std::move(name));
    ++pages;
    if (!served.truncated) break;
    ASSERT_GT(served.Number("next_offset"), offset);
    offset = served.Number("next_offset");
  }
  EXPECT_EQ(seen, expected);
  EXPECT_GT(pages, 1) << "a page is bounded by bytes too";

  Request few = FsCall("fs.list", tree.path(), tree.path());
  few.args.Set("offset", 698u);
  few.args.Set("limit", 1u);
  EXPECT_EQ(NamesOf(ServeCall(few)), std::vector<std::string>{expected[698]});
  few.args.Set("offset", 1ull << 62);
  EXPECT_TRUE(NamesOf(ServeCall(few)).empty());
}

TEST(FsListTest, NamesOutsideTheScopeAreCountedNotShown) {
  TempTree tree;
  tree.Write("a.md", "");
  tree.Write("key.pem", "");
  Request request = FsCall("fs.list", tree.path(), tree.path());
  request.read_scope = ScopeOf({"${WORK}", "${WORK}/*.md"}, tree.path());
  const Served served = ServeCall(request);
  EXPECT_EQ(NamesOf(served), std::vector<std::string>{"a.md"});
  EXPECT_EQ(served.Number("hidden"), 1u);
}

TEST(FsListTest, OnlyDirectories) {
  TempTree tree;
  tree.Write("a", "");
  EXPECT_EQ(Call("fs.list", tree, "a").code, ExitCode::kBadData);
  EXPECT_EQ(Call("fs.list", tree, "none").code, ExitCode::kNotFound);
}

TEST(FsStatTest, TellsWhatAPathIs) {
  TempTree tree;
  tree.Write("a", "12345");
  chmod((tree / "a").c_str(), 0640);
  const timespec times[2] = {{1, 0}, {1'700'000'000, 123}};
  utimensat(AT_FDCWD, (tree / "a").c_str(), times, 0);
  mkfifo((tree / "fifo").c_str(), 0600);
  tree.Link("link", "a");
  const Served file = Call("fs.stat", tree, "a");
  EXPECT_EQ(file.code, ExitCode::kOk) << file.message;
  EXPECT_EQ(file.Text("type"), "file");
  EXPECT_EQ(file.Number("size"), 5u);
  EXPECT_EQ(file.Number("mode"), 0640u);
  EXPECT_EQ(file.Number("mtime"), 1'700'000'000u);
  EXPECT_EQ(file.Number("mtime_nsec"), 123u);
  EXPECT_EQ(Call("fs.stat", tree, "").Text("type"), "dir");
  EXPECT_EQ(Call("fs.stat", tree, "fifo").Text("type"), "pipe")
      << "looking at a pipe opens nothing";
  EXPECT_EQ(Call("fs.stat", tree, "link").Text("path"), tree / "a");
  EXPECT_EQ(Call("fs.stat", tree, "none").code, ExitCode::kNotFound);
}

TEST(FsStatTest, AnUnreadableFileCanBeStatedButNotRead) {
  TempTree tree;
  tree.Write("a", "x");
  chmod((tree / "a").c_str(), 0);
  // Root reads everything, and no worker is root: as root this is done as nobody.
  const bool root = geteuid() == 0;
  if (root) {
    chmod(tree.path().c_str(), 0755);
    ASSERT_EQ(seteuid(65534), 0);
  }
  const Served stated = Call("fs.stat", tree, "a");
  const Served served = Call("fs.read", tree, "a");
  if (root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  EXPECT_EQ(stated.code, ExitCode::kOk);
  EXPECT_EQ(served.code, ExitCode::kFailed);
  EXPECT_NE(served.message.find("permission denied"), std::string::npos);
}

}  // namespace
}  // namespace krux::runtime
