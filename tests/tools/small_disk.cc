#include "tests/tools/small_disk.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "tests/tools/krux_process.h"

namespace krux::tools {
namespace {

bool Run(std::vector<std::string> argv) { return RunProgram(argv).exit == 0; }

// Mounts that nobody else on this machine sees: a copy of one in another namespace would keep its
// file system, and what ails it, alive after umount(2).
bool HasOwnMounts() {
  static const bool done =
      unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  return done;
}

std::string Ballast(const std::string& folder) { return folder + "/ballast"; }

}  // namespace

SmallDisk::SmallDisk(Kind kind, std::string folder, int mebibytes)
    : kind_(kind), folder_(std::move(folder)), image_(folder_ + ".img"), mebibytes_(mebibytes) {
  mkdir(folder_.c_str(), 0700);
  if (!HasOwnMounts()) return;
  if (kind_ == kExt4) {
    const int fd = open(image_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const bool sized = fd >= 0 && ftruncate(fd, off_t{mebibytes_} << 20) == 0;
    close(fd);
    // No share for root: a full disk is full for everybody.
    if (!sized || !Run({"/sbin/mkfs.ext4", "-q", "-F", "-m", "0", image_})) return;
  }
  Mount();
}

SmallDisk::~SmallDisk() {
  if (mounted_ && !Unmount()) Run({"/bin/umount", "-l", folder_});
  unlink(image_.c_str());
}

bool SmallDisk::Mount() {
  mounted_ =
      kind_ == kExt4
          ? Run({"/bin/mount", "-o", "loop,errors=remount-ro", image_, folder_})
          : Run({"/bin/mount", "-t", "tmpfs", "-o",
                 "mode=0700,size=" + std::to_string(mebibytes_) + "M", "krux-test", folder_});
  if (mounted_) chmod(folder_.c_str(), 0700);  // what mkfs made is open to all
  return mounted_;
}

bool SmallDisk::Unmount() {
  if (Run({"/bin/umount", folder_})) mounted_ = false;
  return !mounted_;
}

bool SmallDisk::Repair() const {
  return RunProgram({"/sbin/e2fsck", "-fy", image_}).exit <= 1;  // 1: errors were corrected
}

void SmallDisk::Fill() const {
  const int fd = open(Ballast(folder_).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const std::vector<char> zeros(1 << 16);
  for (size_t size = zeros.size(); size >= 512;) {
    if (write(fd, zeros.data(), size) <= 0) size /= 2;
  }
  fsync(fd);
  close(fd);
}

void SmallDisk::Free() const { unlink(Ballast(folder_).c_str()); }

bool SmallDisk::Remount(const std::string& option) const {
  return Run({"/bin/mount", "-o", "remount," + option, folder_});
}

std::string SmallDisk::Device() const {
  const std::string source = RunProgram({"/bin/findmnt", "-no", "SOURCE", folder_}).out;
  const size_t slash = source.rfind('/');
  return source.substr(slash + 1, source.find('\n') - slash - 1);
}

}  // namespace krux::tools
