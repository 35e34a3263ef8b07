#include "sandbox/fds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <string>

#include "tests/sandbox/child.h"

namespace krux::sandbox {
namespace {

using testing::RunInChild;

std::set<int> OpenFds() {
  std::set<int> fds;
  DIR* directory = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.') fds.insert(std::stoi(entry->d_name));
  }
  fds.erase(dirfd(directory));
  closedir(directory);
  return fds;
}

ino_t Inode(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

TEST(KeepFds, LeavesExactlyTheGivenOnesInOrder) {
  EXPECT_EQ(RunInChild([] {
              // Descriptors that lie in each other's way: 0…5 hold files, and are wanted turned
              // round.
              ino_t inodes[6];
              for (int i = 0; i < 6; i++) {
                const int fd = memfd_create("fds", 0);
                CHILD_EXPECT(dup2(fd, 100 + i) >= 0);
                close(fd);
              }
              for (int i = 0; i < 6; i++) {
                CHILD_EXPECT(dup2(100 + i, i) == i);
                inodes[i] = Inode(i);
              }
              const int keep[] = {5, 4, 3, 2, 1, 0, 0};
              CHILD_EXPECT(KeepFds(keep, 7, true) == 0);
              for (int i = 0; i < 6; i++) CHILD_EXPECT(Inode(i) == inodes[5 - i]);
              CHILD_EXPECT(Inode(6) == inodes[0]);
              CHILD_EXPECT((OpenFds() == std::set<int>{0, 1, 2, 3, 4, 5, 6}));
              return 0;
            }),
            0);
}

TEST(KeepFds, ClosesHighDescriptorsToo) {
  EXPECT_EQ(RunInChild([] {
              CHILD_EXPECT(dup2(0, 900) == 900);
              const int keep[] = {900};
              CHILD_EXPECT(KeepFds(keep, 1, false) == 0);
              CHILD_EXPECT((OpenFds() == std::set<int>{0}));
              return 0;
            }),
            0);
}

TEST(KeepFds, CloseOnExecIsForAllButTheStandardThree) {
  for (const bool close_on_exec : {false, true}) {
    EXPECT_EQ(RunInChild([&] {
                const int keep[] = {0, 0, 0, 0, 0};
                CHILD_EXPECT(fcntl(0, F_GETFD) >= 0 || open("/dev/null", O_RDWR) == 0);
                CHILD_EXPECT(KeepFds(keep, 5, close_on_exec) == 0);
                for (int i = 0; i < 5; i++) {
                  const bool expected = close_on_exec && i > 2;
                  CHILD_EXPECT(((fcntl(i, F_GETFD) & FD_CLOEXEC) != 0) == expected);
                }
                return 0;
              }),
              0);
  }
}

TEST(KeepFds, RefusesAClosedDescriptorAndTooMany) {
  EXPECT_EQ(RunInChild([] {
              const int closed[] = {0, 999};
              CHILD_EXPECT(KeepFds(closed, 2, true) == -EBADF);
              const int many[kMaxKeptFds + 1] = {};
              CHILD_EXPECT(KeepFds(many, kMaxKeptFds + 1, true) == -E2BIG);
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace krux::sandbox
