// Landlock, tried in forked children: every right that is handled is really refused, every grant
// gives what it says and no more.
#include "sandbox/landlock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/sandbox/child.h"

namespace krux::sandbox {
namespace {

using testing::RunInChild;

// A tree to misbehave in: file, program, empty/, a/x, b/.
class Landlock : public ::testing::Test {
 protected:
  void SetUp() override {
    abi_ = LandlockAbi();
    if (abi_ < kLandlockFloor) GTEST_SKIP() << "this kernel has no Landlock ABI 2";
    char name[] = "/tmp/krux-landlock-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
    Fill();
  }
  void Fill() const {
    for (const char* directory : {"/empty", "/a", "/b"})
      ASSERT_EQ(mkdir((root_ + directory).c_str(), 0755), 0);
    for (const char* file : {"/file", "/a/x"}) std::ofstream(root_ + file) << "text";
    std::ofstream(root_ + "/program") << "#!/bin/sh\nexit 0\n";
    ASSERT_EQ(chmod((root_ + "/program").c_str(), 0755), 0);
  }
  void TearDown() override {
    if (!root_.empty()) std::filesystem::remove_all(root_);
  }

  // The tree as it was at first.
  void Refresh() const {
    for (const auto& entry : std::filesystem::directory_iterator(root_))
      std::filesystem::remove_all(entry);
    Fill();
  }

  // Enters a domain of `rules` with the newest ABI here.
  int Enter(const std::vector<LandlockPath>& rules) const { return EnterAs(abi_, rules); }
  static int EnterAs(int abi, const std::vector<LandlockPath>& rules) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return RestrictPaths(abi, rules.data(), rules.size());
  }

  int abi_ = 0;
  std::string root_;
};

int ErrnoOf(int result) { return result < 0 ? errno : 0; }

int OpenErrno(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0600);
  const int error = ErrnoOf(fd);
  if (fd >= 0) close(fd);
  return error;
}

int ExecErrno(const std::string& path) {
  int answer[2];
  if (pipe2(answer, O_CLOEXEC) < 0) return errno;
  const pid_t pid = fork();
  if (pid == 0) {
    execl(path.c_str(), "program", nullptr);
    const int error = errno;
    _exit(write(answer[1], &error, sizeof error) == sizeof error ? 0 : 1);
  }
  close(answer[1]);
  int error = 0;
  // Nothing to read: the pipe closed on a successful exec.
  if (read(answer[0], &error, sizeof error) != sizeof error) error = 0;
  close(answer[0]);
  waitpid(pid, nullptr, 0);
  return error;
}

int Tcp(bool do_bind) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(do_bind ? 0 : 1);
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  int error = ErrnoOf(do_bind ? bind(fd, name, sizeof address) : connect(fd, name, sizeof address));
  if (error == ECONNREFUSED) error = 0;  // it went as far as the network
  close(fd);
  return error;
}

// Something one right is for: 0 or errno. Run without a domain it must succeed, else it shows
// nothing.
struct Deed {
  const char* right;
  int abi;
  bool needs_root;
  int (*run)(const std::string& root);
  int refusal;
};

const Deed kDeeds[] = {
    {"EXECUTE", 1, false, [](const std::string& r) { return ExecErrno(r + "/program"); }, EACCES},
    {"WRITE_FILE", 1, false, [](const std::string& r) { return OpenErrno(r + "/file", O_WRONLY); },
     EACCES},
    {"READ_FILE", 1, false, [](const std::string& r) { return OpenErrno(r + "/file", O_RDONLY); },
     EACCES},
    {"READ_DIR", 1, false,
     [](const std::string& r) { return OpenErrno(r, O_RDONLY | O_DIRECTORY); }, EACCES},
    {"REMOVE_DIR", 1, false,
     [](const std::string& r) { return ErrnoOf(rmdir((r + "/empty").c_str())); }, EACCES},
    {"REMOVE_FILE", 1, false,
     [](const std::string& r) { return ErrnoOf(unlink((r + "/file").c_str())); }, EACCES},
    {"MAKE_CHAR", 1, true,
     [](const std::string& r) { return ErrnoOf(mknod((r + "/n").c_str(), S_IFCHR | 0600, 0x103)); },
     EACCES},
    {"MAKE_BLOCK", 1, true,
     [](const std::string& r) { return ErrnoOf(mknod((r + "/n").c_str(), S_IFBLK | 0600, 0x700)); },
     EACCES},
    {"MAKE_DIR", 1, false,
     [](const std::string& r) { return ErrnoOf(mkdir((r + "/n").c_str(), 0700)); }, EACCES},
    {"MAKE_REG", 1, false,
     [](const std::string& r) { return ErrnoOf(mknod((r + "/n").c_str(), S_IFREG | 0600, 0)); },
     EACCES},
    {"MAKE_SOCK", 1, false,
     [](const std::string& r) { return ErrnoOf(mknod((r + "/n").c_str(), S_IFSOCK | 0600, 0)); },
     EACCES},
    {"MAKE_FIFO", 1, false,
     [](const std::string& r) { return ErrnoOf(mkfifo((r + "/n").c_str(), 0600)); }, EACCES},
    {"MAKE_SYM", 1, false,
     [](const std::string& r) { return ErrnoOf(symlink("/", (r + "/n").c_str())); }, EACCES},
    {"TRUNCATE", 3, false,
     [](const std::string& r) { return ErrnoOf(truncate((r + "/file").c_str(), 0)); }, EACCES},
    {"BIND_TCP", 4, false, [](const std::string&) { return Tcp(true); }, EACCES},
    {"CONNECT_TCP", 4, false, [](const std::string&) { return Tcp(false); }, EACCES},
    {"SCOPE_SIGNAL", 6, false, [](const std::string&) { return ErrnoOf(kill(getppid(), 0)); },
     EPERM},
};

TEST_F(Landlock, EveryHandledRightIsRefused) {
  for (const Deed& deed : kDeeds) {
    if (deed.abi > abi_ || (deed.needs_root && geteuid() != 0)) continue;
    Refresh();
    // The control: without a domain the same deed goes through (or as far as the kernel's own no).
    const int free = RunInChild([&] { return deed.run(root_); });
    EXPECT_TRUE(free == 0 || (deed.needs_root && free == EPERM)) << deed.right << " " << free;
    Refresh();
    const int confined = RunInChild([&] {
      const int error = Enter({});
      return error != 0 ? 2000 - error : deed.run(root_);
    });
    EXPECT_EQ(confined, deed.refusal) << deed.right;
  }
}

TEST_F(Landlock, DevicesCannotBeDriven) {
  if (abi_ < 5) GTEST_SKIP() << "ABI 5";
  const auto tcgets = [] {
    const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    termios t;
    return fd < 0 ? -errno : ErrnoOf(ioctl(fd, TCGETS, &t));
  };
  EXPECT_EQ(RunInChild(tcgets), ENOTTY);
  EXPECT_EQ(RunInChild([&] {
              return Enter({{"/dev/null", true, true, false}}) != 0 ? __LINE__ : tcgets();
            }),
            EACCES);
}

TEST_F(Landlock, AbstractSocketsOutsideAreOutOfReach) {
  if (abi_ < 6) GTEST_SKIP() << "ABI 6";
  const std::string name = root_ + "-listener";
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())),
            0);
  ASSERT_EQ(listen(listener, 4), 0);
  EXPECT_EQ(RunInChild([&] { return ProbeAbstractRefused(name.data(), name.size()); }), -EPROTO);
  EXPECT_EQ(RunInChild([&] {
              CHILD_EXPECT(Enter({}) == 0);
              return ProbeAbstractRefused(name.data(), name.size());
            }),
            0);
  close(listener);
}

TEST_F(Landlock, ProbesTellADomainFromNone) {
  const std::string file = root_ + "/file";
  EXPECT_EQ(RunInChild([&] {
              CHILD_EXPECT(ProbeCanary(file.c_str()) == -EPROTO);
              CHILD_EXPECT(ProbeCanary((root_ + "/absent").c_str()) == -ENOENT);
              CHILD_EXPECT(abi_ < 4 || ProbeTcpRefused() == -EPROTO);
              CHILD_EXPECT(Enter({{(root_ + "/a").c_str(), true, false, false}}) == 0);
              CHILD_EXPECT(ProbeCanary(file.c_str()) == 0);
              CHILD_EXPECT(ProbeGranted((root_ + "/a").c_str()) == 0);
              CHILD_EXPECT(ProbeGranted((root_ + "/b").c_str()) == -EACCES);
              CHILD_EXPECT(abi_ < 4 || ProbeTcpRefused() == 0);
              return 0;
            }),
            0);
}

TEST_F(Landlock, ReadGivesReadingOnly) {
  EXPECT_EQ(RunInChild([&] {
              CHILD_EXPECT(Enter({{root_.c_str(), true, false, false}}) == 0);
              CHILD_EXPECT(OpenErrno(root_ + "/a/x", O_RDONLY) == 0);
              CHILD_EXPECT(OpenErrno(root_ + "/a", O_RDONLY | O_DIRECTORY) == 0);
              CHILD_EXPECT(OpenErrno(root_ + "/a/x", O_WRONLY) == EACCES);
              CHILD_EXPECT(OpenErrno(root_ + "/a/y", O_WRONLY | O_CREAT) == EACCES);
              CHILD_EXPECT(ExecErrno(root_ + "/program") == EACCES);
              CHILD_EXPECT(OpenErrno("/etc/passwd", O_RDONLY) == EACCES);
              return 0;
            }),
            0);
}

TEST_F(Landlock, WriteGivesFilesFoldersAndLinksButNoDoors) {
  EXPECT_EQ(
      RunInChild([&] {
        const std::string r = root_;
        CHILD_EXPECT(Enter({{r.c_str(), true, true, false}}) == 0);
        CHILD_EXPECT(OpenErrno(r + "/new", O_WRONLY | O_CREAT) == 0);
        CHILD_EXPECT(abi_ < 3 || truncate((r + "/file").c_str(), 1) == 0);
        CHILD_EXPECT(mkdir((r + "/d").c_str(), 0700) == 0 && rmdir((r + "/d").c_str()) == 0);
        CHILD_EXPECT(symlink("x", (r + "/l").c_str()) == 0 && unlink((r + "/l").c_str()) == 0);
        CHILD_EXPECT(rename((r + "/a/x").c_str(), (r + "/b/x").c_str()) == 0);
        CHILD_EXPECT(ErrnoOf(mkfifo((r + "/f").c_str(), 0600)) == EACCES);
        CHILD_EXPECT(ErrnoOf(mknod((r + "/s").c_str(), S_IFSOCK | 0600, 0)) == EACCES);
        CHILD_EXPECT(ExecErrno(r + "/program") == EACCES);
        return 0;
      }),
      0);
}

TEST_F(Landlock, WriteDoesNotMoveFilesOutOfTheGrant) {
  EXPECT_EQ(
      RunInChild([&] {
        CHILD_EXPECT(Enter({{(root_ + "/a").c_str(), true, true, false}}) == 0);
        CHILD_EXPECT(ErrnoOf(rename((root_ + "/a/x").c_str(), (root_ + "/b/x").c_str())) != 0);
        CHILD_EXPECT(ErrnoOf(link((root_ + "/file").c_str(), (root_ + "/a/l").c_str())) == EXDEV);
        return 0;
      }),
      0);
}

// The kernel opens a program with O_RDONLY and asks Landlock for both.
TEST_F(Landlock, ExecNeedsReadAndGivesNoWriting) {
  const std::vector<LandlockPath> system = {{"/usr", true, false, true},
                                            {"/lib64", true, false, true}};
  for (const bool read : {false, true}) {
    EXPECT_EQ(RunInChild([&] {
                std::vector<LandlockPath> rules = system;
                rules.push_back({root_.c_str(), read, false, true});
                CHILD_EXPECT(Enter(rules) == 0);
                CHILD_EXPECT(ExecErrno(root_ + "/program") == (read ? 0 : EACCES));
                CHILD_EXPECT(OpenErrno(root_ + "/program", O_WRONLY) == EACCES);
                return 0;
              }),
              0);
  }
}

TEST_F(Landlock, AFileGrantIsTheFileAlone) {
  EXPECT_EQ(RunInChild([&] {
              CHILD_EXPECT(Enter({{(root_ + "/a/x").c_str(), true, true, false}}) == 0);
              CHILD_EXPECT(OpenErrno(root_ + "/a/x", O_RDWR | O_TRUNC) == 0);
              CHILD_EXPECT(OpenErrno(root_ + "/file", O_RDONLY) == EACCES);
              CHILD_EXPECT(OpenErrno(root_ + "/a", O_RDONLY | O_DIRECTORY) == EACCES);
              CHILD_EXPECT(ErrnoOf(unlink((root_ + "/a/x").c_str())) == EACCES);
              return 0;
            }),
            0);
}

TEST_F(Landlock, ARuleThatFailsFailsTheWhole) {
  EXPECT_EQ(RunInChild([&] {
              const std::string absent = root_ + "/absent";
              CHILD_EXPECT(Enter({{root_.c_str(), true, false, false},
                                  {absent.c_str(), true, false, false}}) == -ENOENT);
              CHILD_EXPECT(OpenErrno("/etc/passwd", O_RDONLY) == 0);  // no domain was entered
              CHILD_EXPECT(RestrictPaths(1, nullptr, 0) == -EOPNOTSUPP);
              CHILD_EXPECT(RestrictPaths(kLandlockNewest + 1, nullptr, 0) == -EOPNOTSUPP);
              return 0;
            }),
            0);
}

TEST_F(Landlock, NeedsNoNewPrivs) {
  EXPECT_EQ(RunInChild([] {
              CHILD_EXPECT(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
              return RestrictPaths(kLandlockFloor, nullptr, 0);
            }),
            -EPERM);
}

// Each older ABI is a ruleset that this kernel takes, and that handles what it says and no more.
TEST_F(Landlock, EveryOlderAbiCanBeUsed) {
  for (int abi = kLandlockFloor; abi <= abi_; abi++) {
    EXPECT_EQ(RunInChild([&] {
                CHILD_EXPECT(EnterAs(abi, {}) == 0);
                CHILD_EXPECT(OpenErrno("/etc/passwd", O_RDONLY) == EACCES);
                CHILD_EXPECT((Tcp(true) == EACCES) == (abi >= 4));
                CHILD_EXPECT((ErrnoOf(kill(getppid(), 0)) == EPERM) == (abi >= 6));
                return 0;
              }),
              0)
        << "ABI " << abi;
  }
}

}  // namespace
}  // namespace krux::sandbox
