// What a daemon that confined itself can still do, tried in a child.

#include "base/self_confine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <string>

#include "base/landlock.h"

namespace krux {
namespace {

// Runs `body` in a child; its return value is the child's exit status.
int InChild(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

class SelfConfineTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_GE(LandlockAbi(), kLandlockFloor) << "this machine should have Landlock";
    char name[] = "/tmp/krux-confine-XXXXXX";
    dir_ = mkdtemp(name);
  }
  void TearDown() override {
    unlink((dir_ + "/made").c_str());
    rmdir(dir_.c_str());
  }
  std::string dir_;
};

int OpenError(const char* path, int flags) {
  const int fd = open(path, flags | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  close(fd);
  return 0;
}

TEST_F(SelfConfineTest, FilesOutsideTheRulesAreRefusedAndThoseInsideAreNot) {
  EXPECT_EQ(OpenError("/etc/passwd", O_RDONLY), 0) << "without confinement the file opens";
  const int status = InChild([&] {
    if (!ConfineSelf({.read_write = {dir_}})) return 1;
    if (OpenError("/etc/passwd", O_RDONLY) != EACCES) return 2;
    if (OpenError("/tmp/krux-confine-outside", O_WRONLY | O_CREAT) != EACCES) return 3;
    return OpenError((dir_ + "/made").c_str(), O_WRONLY | O_CREAT) == 0 ? 0 : 4;
  });
  EXPECT_EQ(status, 0);
}

TEST_F(SelfConfineTest, NothingIsGainedByExecAndNobodyLooksInside) {
  const int status = InChild([] {
    if (!ConfineSelf({})) return 1;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 2;
    return prctl(PR_GET_DUMPABLE) == 0 ? 0 : 3;
  });
  EXPECT_EQ(status, 0);
}

TEST_F(SelfConfineTest, NoTcp) {
  if (LandlockAbi() < 4) return;  // the kernel has nothing to refuse it with
  for (const bool mounts : {false, true}) {
    const int status = InChild([&] {
      if (!ConfineSelf({.mounts = mounts})) return 1;
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(9);
      return connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 &&
                     errno == EACCES
                 ? 0
                 : 2;
    });
    EXPECT_EQ(status, 0) << "mounts = " << mounts;
  }
}

TEST_F(SelfConfineTest, AProcessThatMountsKeepsItsFiles) {
  const int status = InChild([] {
    if (!ConfineSelf({.mounts = true})) return 1;
    return OpenError("/etc/passwd", O_RDONLY) == 0 ? 0 : 2;
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace krux
