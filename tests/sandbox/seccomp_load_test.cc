// The compiled filters in the kernel: a forked child loads one and sees what is left.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "sandbox/seccomp.h"
#include "tests/sandbox/child.h"

namespace krux::sandbox {
namespace {

using testing::RunInChild;

int Load(WorkClass work_class) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return LoadFilter(FilterFor(work_class));
}

bool Fails(long result, int expected) { return result == -1 && errno == expected; }

TEST(LoadedFilter, NeedsNoNewPrivsOrACapability) {
  EXPECT_EQ(RunInChild([] {
              CHILD_EXPECT(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
              CHILD_EXPECT(LoadFilter(FilterFor(WorkClass::kFs)) == -EACCES);
              return 0;
            }),
            0);
}

TEST(LoadedFilter, WithoutAFilterThereIsNoDigest) {
  EXPECT_EQ(RunInChild([] {
              uint8_t digest[kFilterDigestBytes];
              CHILD_EXPECT(ProbeFilterDigest(digest) == -ENOSYS);
              CHILD_EXPECT(ProbeSocketRefused() == -EPROTO);
              return 0;
            }),
            0);
}

TEST(LoadedFilter, ProvesWhichOneItIs) {
  for (const WorkClass work_class : {WorkClass::kFs, WorkClass::kWrite, WorkClass::kExec}) {
    EXPECT_EQ(RunInChild([&] {
                const CompiledFilter& filter = FilterFor(work_class);
                uint8_t digest[kFilterDigestBytes] = {};
                CHILD_EXPECT(Load(work_class) == 0);
                CHILD_EXPECT(ProbeFilterDigest(digest) == 0);
                CHILD_EXPECT(memcmp(digest, filter.digest, sizeof digest) == 0);
                CHILD_EXPECT(ProbeSocketRefused() == 0);
                return 0;
              }),
              0);
  }
}

TEST(LoadedFilter, FsClassReadsAndNothingElse) {
  EXPECT_EQ(RunInChild([] {
              int pair[2];
              char byte = 0;
              CHILD_EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
              CHILD_EXPECT(Load(WorkClass::kFs) == 0);
              const int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
              CHILD_EXPECT(fd >= 0);
              CHILD_EXPECT(pread(fd, &byte, 1, 0) == 1);
              CHILD_EXPECT(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0);
              CHILD_EXPECT(Fails(syscall(SYS_openat2, AT_FDCWD, ".", nullptr, 0), ENOSYS));
              CHILD_EXPECT(send(pair[0], "x", 1, 0) == -1 && errno == ENOSYS);  // only sendmsg
              CHILD_EXPECT(write(pair[0], "x", 1) == 1 && read(pair[1], &byte, 1) == 1);
              CHILD_EXPECT(Fails(open("/tmp/x", O_RDWR | O_CREAT, 0600), EPERM));
              CHILD_EXPECT(Fails(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0), EPERM));
              CHILD_EXPECT(Fails(syscall(SYS_fork), ENOSYS));
              CHILD_EXPECT(Fails(syscall(SYS_execve, "/bin/true", nullptr, nullptr), ENOSYS));
              CHILD_EXPECT(Fails(syscall(SYS_kill, getpid(), 0), ENOSYS));
              CHILD_EXPECT(Fails(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), EPERM));
              CHILD_EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
              return 0;
            }),
            0);
}

// What a writer that was taken over would try in its own grant. Each way is open without the
// filter, so that it is the filter that closes it.
TEST(LoadedFilter, WriteClassChangesNoFileInPlaceAndMakesNoSetuidFile) {
  const struct {
    const char* what;
    long (*attempt)();
  } ways[] = {
      {"open to write", [] { return long{open("old", O_WRONLY)}; }},
      {"open to append", [] { return long{open("old", O_WRONLY | O_APPEND)}; }},
      {"open to read and write", [] { return long{open("old", O_RDWR)}; }},
      {"cut by open", [] { return long{open("old", O_RDONLY | O_TRUNC)}; }},
      {"create or open", [] { return long{open("old", O_WRONLY | O_CREAT, 0600)}; }},
      {"cut", [] { return long{truncate("old", 1)}; }},
      {"create setuid", [] { return long{open("a", O_WRONLY | O_CREAT | O_EXCL, 04600)}; }},
      {"create setgid", [] { return long{open("b", O_WRONLY | O_CREAT | O_EXCL, 02600)}; }},
      {"without a name", [] { return long{open(".", O_WRONLY | O_TMPFILE, 04600)}; }},
      {"chmod setuid", [] { return long{chmod("old", 04755)}; }},
      {"fchmod setuid", [] { return long{fchmod(open("old", O_RDONLY | O_CLOEXEC), 04755)}; }},
      {"fchmodat2 setuid", [] { return syscall(452, AT_FDCWD, "old", 04755, 0); }},
      {"mkdir setgid", [] { return long{mkdir("c", 02755)}; }},
      {"mknod setuid", [] { return long{mknod("d", S_IFREG | 04755, 0)}; }},
      {"another name", [] { return long{link("old", "e")}; }},
      {"a link", [] { return long{symlink("old", "f")}; }},
  };
  char directory[] = "/tmp/krux-seccomp-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  for (const bool loaded : {false, true}) {
    for (const auto& way : ways) {
      EXPECT_EQ(RunInChild([&] {
                  CHILD_EXPECT(chdir(directory) == 0);
                  const int old = open("old", O_CREAT | O_RDWR | O_CLOEXEC, 0700);
                  CHILD_EXPECT(old >= 0 && fchmod(old, 0700) == 0);
                  if (loaded) CHILD_EXPECT(Load(WorkClass::kWrite) == 0);
                  CHILD_EXPECT((way.attempt() == -1) == loaded);
                  return 0;
                }),
                0)
          << way.what << (loaded ? "" : " without the filter");
    }
  }
  EXPECT_EQ(RunInChild([&] {
              CHILD_EXPECT(chdir(directory) == 0 && Load(WorkClass::kWrite) == 0);
              const int fd = open("new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
              CHILD_EXPECT(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0);
              CHILD_EXPECT(fchmod(fd, 0755) == 0);
              CHILD_EXPECT(syscall(SYS_renameat2, AT_FDCWD, "new", AT_FDCWD, "old", 0) == 0);
              CHILD_EXPECT(unlinkat(AT_FDCWD, "old", 0) == 0);
              CHILD_EXPECT(Fails(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0), EPERM));
              CHILD_EXPECT(Fails(syscall(SYS_execve, "/bin/true", nullptr, nullptr), ENOSYS));
              return 0;
            }),
            0)
      << "what the class is for";
  const std::string remove = std::string("rm -rf ") + directory;
  EXPECT_EQ(system(remove.c_str()), 0);
}

TEST(LoadedFilter, ExecClassRefusesTheKernelsBackDoors) {
  char directory[] = "/tmp/krux-seccomp-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  EXPECT_EQ(RunInChild([&] {
              CHILD_EXPECT(chdir(directory) == 0 && Load(WorkClass::kExec) == 0);
              CHILD_EXPECT(Fails(unshare(CLONE_NEWUSER), EPERM));
              CHILD_EXPECT(Fails(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), EPERM));
              CHILD_EXPECT(Fails(syscall(SYS_clone3, nullptr, 0), ENOSYS));
              CHILD_EXPECT(Fails(syscall(SYS_openat2, AT_FDCWD, ".", nullptr, 0), ENOSYS));
              CHILD_EXPECT(Fails(syscall(SYS_mount, "a", "b", "c", 0, nullptr), EPERM));
              CHILD_EXPECT(Fails(ptrace(PTRACE_TRACEME, 0, 0, 0), EPERM));
              CHILD_EXPECT(Fails(syscall(SYS_bpf, 0, nullptr, 0), EPERM));
              CHILD_EXPECT(Fails(syscall(SYS_io_uring_setup, 1, nullptr), ENOSYS));
              CHILD_EXPECT(Fails(syscall(SYS_keyctl, 0, -3, 0, 0, 0), EPERM));
              const int fd = open("file", O_CREAT | O_RDWR | O_CLOEXEC, 0755);
              CHILD_EXPECT(fd >= 0 && fchmod(fd, 0700) == 0);
              CHILD_EXPECT(Fails(fchmod(fd, 04700), EPERM));
              CHILD_EXPECT(Fails(chmod("file", 02700), EPERM));
              CHILD_EXPECT(Fails(syscall(452, AT_FDCWD, "file", 04700, 0), EPERM));
              CHILD_EXPECT(Fails(open("other", O_CREAT | O_RDWR, 04700), EPERM));
              CHILD_EXPECT(Fails(open(".", O_TMPFILE | O_RDWR, 04700), EPERM));
              CHILD_EXPECT(Fails(mkdir("dir", 02700), EPERM));
              CHILD_EXPECT(Fails(mknod("node", S_IFREG | 04700, 0), EPERM));
              struct stat st;
              CHILD_EXPECT(stat("file", &st) == 0 && (st.st_mode & 07777) == 0700);
              CHILD_EXPECT(unlink("file") == 0);
              return 0;
            }),
            0);
  EXPECT_EQ(rmdir(directory), 0);
}

TEST(LoadedFilter, ExecClassKeepsConnectedPairs) {
  EXPECT_EQ(RunInChild([] {
              int pair[2];
              char byte = 0;
              CHILD_EXPECT(Load(WorkClass::kExec) == 0);
              CHILD_EXPECT(Fails(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), EPERM));
              CHILD_EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
              CHILD_EXPECT(send(pair[0], "x", 1, 0) == 1 && recv(pair[1], &byte, 1, 0) == 1);
              CHILD_EXPECT(Fails(listen(pair[0], 1), EPERM));
              return 0;
            }),
            0);
}

#ifdef __x86_64__
// int 0x80 enters the 32-bit table from 64-bit code: the architecture check has to catch it.
TEST(LoadedFilter, The32BitDoorKills) {
  EXPECT_EQ(RunInChild([] {
              CHILD_EXPECT(Load(WorkClass::kExec) == 0);
              long result;
              asm volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "cc");  // getpid
              return __LINE__;
            }),
            1000 + SIGSYS);
}

TEST(LoadedFilter, TheX32DoorKills) {
  EXPECT_EQ(RunInChild([] {
              CHILD_EXPECT(Load(WorkClass::kExec) == 0);
              syscall(0x40000000 + SYS_getpid);
              return __LINE__;
            }),
            1000 + SIGSYS);
}
#endif

// Real programs under the exec filter. A program that this machine does not have is skipped.
class Programs : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(Programs, RunUnderTheExecFilter) {
  const char* program = GetParam().first;
  if (access(program, X_OK) != 0) GTEST_SKIP() << program << " is not installed";
  char directory[] = "/tmp/krux-seccomp-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  EXPECT_EQ(RunInChild([&] {
              CHILD_EXPECT(chdir(directory) == 0 && Load(WorkClass::kExec) == 0);
              const pid_t pid = fork();
              if (pid == 0) {
                execl("/bin/bash", "bash", "-c", GetParam().second, nullptr);
                _exit(126);
              }
              int status = 0;
              CHILD_EXPECT(waitpid(pid, &status, 0) == pid);
              return status;
            }),
            0);
  std::string remove = std::string("rm -rf ") + directory;
  EXPECT_EQ(system(remove.c_str()), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Real, Programs,
    ::testing::Values(
        std::pair{"/bin/bash", "a=$(echo hi | cat); [ \"$a\" = hi ] && sleep 0.01 & wait $!"},
        std::pair{"/usr/bin/python3",
                  "python3 -c 'import subprocess, threading, tempfile, os\n"
                  "t = threading.Thread(target=lambda: None); t.start(); t.join()\n"
                  "assert subprocess.check_output([\"echo\", \"x\"]) == b\"x\\n\"\n"
                  "tempfile.TemporaryFile().write(b\"y\")'"},
        std::pair{
            "/usr/bin/node",
            "node -e 'const c = require(\"child_process\"); require(\"fs\").writeFileSync(\"f\","
            " c.execSync(\"echo x\")); setTimeout(() => {}, 5)'"},
        std::pair{"/usr/bin/gcc",
                  "echo 'int main(void){return 0;}' > a.c && gcc -O1 a.c -o a && ./a"},
        std::pair{
            "/usr/bin/git",
            "export HOME=$PWD; git init -q . && echo x > f && git add f && "
            "git -c user.name=a -c user.email=a@b commit -qm m && git log -1 --oneline | cat"},
        std::pair{"/usr/bin/make",
                  "printf 'all:\\n\\t@echo ok > out\\n' > Makefile && make -s -j2 && cat out"},
        std::pair{"/bin/tar",
                  "mkdir d && cp -p /etc/passwd d && tar cf a.tar d && tar xf a.tar && ls -l d"}),
    [](const auto& test) {
      const std::string path = test.param.first;
      return path.substr(path.rfind('/') + 1);
    });

}  // namespace
}  // namespace krux::sandbox
