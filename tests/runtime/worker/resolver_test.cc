#include "runtime/worker/resolver.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/runtime/worker/serving.h"

namespace krux::runtime {
namespace {

std::string PathOf(const Result<Found>& found) {
  return found ? found->path : "error: " + found.error().message;
}

ExitCode CodeOf(const std::string& root, const std::string& path) {
  const Result<Found> found = Resolve(root, path);
  return found ? ExitCode::kOk : found.error().code;
}

TEST(ResolverTest, PlainPaths) {
  TempTree tree;
  tree.Write("a/b/c.txt", "x");
  EXPECT_EQ(PathOf(Resolve(tree.path(), tree / "a/b/c.txt")), tree / "a/b/c.txt");
  EXPECT_EQ(PathOf(Resolve(tree.path(), tree / "a")), tree / "a");
  EXPECT_EQ(PathOf(Resolve(tree.path(), tree.path())), tree.path());
  EXPECT_EQ(PathOf(Resolve("/", tree / "a")), tree / "a");
  EXPECT_EQ(PathOf(Resolve("/", "/")), "/");
  EXPECT_EQ(CodeOf(tree.path(), tree / "none"), ExitCode::kNotFound);
  EXPECT_EQ(CodeOf(tree.path(), tree / "none/deeper"), ExitCode::kNotFound);
  EXPECT_EQ(CodeOf(tree.path(), tree / "a/b/c.txt/d"), ExitCode::kNotFound)
      << "a file is no directory";
  EXPECT_EQ(CodeOf(tree / "gone", tree / "gone/x"), ExitCode::kNotFound);
}

// Regression: whoever holds a lease on a file makes an open of it wait for as long as he likes,
// fcntl(2).
TEST(ResolverTest, ALeaseCannotHoldAnOpen) {
  TempTree tree;
  tree.Write("file", "x");
  const Result<Found> found = Resolve(tree.path(), tree / "file");
  ASSERT_TRUE(found);
  const UniqueFd leased(open((tree / "file").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(fcntl(leased.get(), F_SETLEASE, F_WRLCK), 0);
  signal(SIGIO, SIG_IGN);
  const Result<UniqueFd> opened = Reopen(*found, O_RDONLY | O_NONBLOCK);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().sys_errno, EAGAIN);
  fcntl(leased.get(), F_SETLEASE, F_UNLCK);
}

TEST(ResolverTest, LinksThatStayInsideWork) {
  TempTree tree;
  tree.Write("real/file", "x");
  tree.Link("link", "real/file");
  tree.Link("dir", "./real");
  tree.Link("sub/up", "../real//file");
  tree.Link("sub/self", ".");
  tree.Link("sub/root", "..");
  tree.Link("chain", "sub/up");
  for (const char* name : {"link", "dir/file", "sub/up", "sub/self/up", "sub/root/real/file",
                           "chain", "sub/root/sub/root/dir/file"}) {
    EXPECT_EQ(PathOf(Resolve(tree.path(), tree / name)), tree / "real/file") << name;
  }
  EXPECT_EQ(PathOf(Resolve(tree.path(), tree / "sub/root")), tree.path());
}

TEST(ResolverTest, LinksThatLeaveOrAreAbsoluteDoNot) {
  TempTree outer;
  outer.Write("secret", "s");
  outer.Write("grant/file", "x");
  const std::string root = outer / "grant";
  outer.Link("grant/up", "../secret");
  outer.Link("grant/far", "../../../../../../../etc/passwd");
  outer.Link("grant/absolute", "/etc/passwd");
  outer.Link("grant/home", root + "/file");
  outer.Link("grant/roundtrip", "../grant/file");
  outer.Link("grant/dir", "..");
  outer.Link("grant/deep/a", "../up");
  for (const char* name : {"up", "far", "absolute", "home", "roundtrip", "dir", "dir/secret",
                           "deep/a", "dir/grant/file"}) {
    EXPECT_EQ(CodeOf(root, root + "/" + name), ExitCode::kDenied) << name;
  }
}

TEST(ResolverTest, MagicLinksAreNotFollowed) {
  const std::string self = "/proc/" + std::to_string(getpid());
  for (const char* name :
       {"/exe", "/cwd", "/root", "/root/etc/passwd", "/cwd/x", "/fd/0", "/ns/mnt"}) {
    EXPECT_NE(CodeOf(self, self + name), ExitCode::kOk) << name;
  }
  const int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
  EXPECT_NE(CodeOf(self, self + "/fd/" + std::to_string(fd)), ExitCode::kOk);
  close(fd);
  EXPECT_NE(CodeOf("/proc", "/proc/self/cwd"), ExitCode::kOk);
}

TEST(ResolverTest, LinksAreCounted) {
  TempTree tree;
  tree.Write("l0", "x");
  for (int i = 1; i <= 41; ++i) tree.Link("l" + std::to_string(i), "l" + std::to_string(i - 1));
  EXPECT_EQ(CodeOf(tree.path(), tree / "l40"), ExitCode::kOk);
  EXPECT_EQ(CodeOf(tree.path(), tree / "l41"), ExitCode::kBadData);
  tree.Link("loop", "loop");
  EXPECT_EQ(CodeOf(tree.path(), tree / "loop"), ExitCode::kBadData);
  // Targets that grow with each expansion must not grow without end.
  tree.Link("grow", "grow/grow/grow");
  EXPECT_EQ(CodeOf(tree.path(), tree / "grow"), ExitCode::kBadData);
  std::string dots;
  while (dots.size() < 4000) dots += "./";
  tree.Link("dots", dots + "l0");
  EXPECT_EQ(CodeOf(tree.path(), tree / "dots"), ExitCode::kOk);
}

TEST(ResolverTest, NamesThatAreNotUtf8AreNames) {
  TempTree tree;
  tree.Write("\xff\xfe", "x");
  tree.Link("link", "\xff\xfe");
  EXPECT_EQ(PathOf(Resolve(tree.path(), tree / "link")), tree / "\xff\xfe");
}

TEST(ResolverTest, WhatChangedSinceIsNotOpened) {
  TempTree tree;
  tree.Write("a", "one");
  tree.Write("b", "two");
  Result<Found> found = Resolve(tree.path(), tree / "a");
  ASSERT_TRUE(found);
  EXPECT_TRUE(Reopen(*found, O_RDONLY));
  ASSERT_EQ(rename((tree / "b").c_str(), (tree / "a").c_str()), 0);
  EXPECT_FALSE(Reopen(*found, O_RDONLY)) << "another file under the same name";
  unlink((tree / "a").c_str());
  EXPECT_EQ(Reopen(*found, O_RDONLY).error().code, ExitCode::kNotFound);
  tree.Link("a", "/etc/passwd");
  EXPECT_FALSE(Reopen(*found, O_RDONLY)) << "a link";
  unlink((tree / "a").c_str());
  ASSERT_EQ(mkfifo((tree / "a").c_str(), 0600), 0);
  EXPECT_FALSE(Reopen(*found, O_RDONLY | O_NONBLOCK))
      << "a pipe, and opening it must not wait for a writer";
}

// Renames `a` and `b` into each other until it is killed.
pid_t SwapForever(const std::string& a, const std::string& b) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  alarm(60);
  for (;;) renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
}

TEST(ResolverTest, ALinkSwappedInMeanwhileNeverLeadsOut) {
  TempTree tree;
  tree.Write("secret/file", "SECRET");
  tree.Write("grant/dir/file", "public");
  tree.Link("grant/trap", "../secret");
  tree.Write("grant/file", "public");
  tree.Link("grant/out", "../secret/file");
  const std::string root = tree / "grant";
  const pid_t dirs = SwapForever(root + "/dir", root + "/trap");
  const pid_t files = SwapForever(root + "/file", root + "/out");
  int read_public = 0, refused = 0;
  for (int i = 0; i < 4000; ++i) {
    Result<Found> found = Resolve(root, root + (i % 2 ? "/dir/file" : "/file"));
    if (!found) {
      ++refused;
      continue;
    }
    Result<UniqueFd> file = Reopen(*found, O_RDONLY | O_NONBLOCK);
    char text[8] = {};
    if (!file || read(file->get(), text, 6) != 6) {
      ++refused;
      continue;
    }
    ASSERT_STREQ(text, "public");
    ++read_public;
  }
  for (const pid_t pid : {dirs, files}) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  EXPECT_GT(read_public, 0);
  EXPECT_GT(refused, 0) << "the swaps must have been seen, or nothing was tested";
}

TEST(ResolverTest, NoDescriptorStaysOpen) {
  TempTree tree;
  tree.Write("a/b/c/d", "x");
  tree.Link("l", "a/../a/b/../b/c");
  const auto lowest = [] {
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
  };
  const int before = lowest();
  for (const char* name : {"l/d", "l/none", "a/b/c/d/e"}) (void)Resolve(tree.path(), tree / name);
  EXPECT_EQ(lowest(), before);
}

}  // namespace
}  // namespace krux::runtime
