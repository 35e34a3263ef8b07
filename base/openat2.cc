#include "base/openat2.h"

#include <sys/syscall.h>

#include <cerrno>

namespace krux {
namespace {

constexpr int kMaxAttempts = 128;

Result<UniqueFd> Open(int dirfd, const std::string& path, uint64_t flags, uint64_t resolve) {
  const int fd = OpenAt2(dirfd, path.c_str(), flags, resolve);
  if (fd < 0) return SysError(ExitCode::kNotFound, "open `" + path + "`", -fd);
  return UniqueFd(fd);
}

}  // namespace

int OpenAt2(int dirfd, const char* path, uint64_t flags, uint64_t resolve, uint64_t mode) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = resolve;
  // openat2(2): EAGAIN means that a rename raced with the resolution and it was not decided. A
  // lease on the file says EAGAIN as well (fcntl(2)), for as long as its holder likes: hence the
  // bound.
  for (int attempt = 0;; ++attempt) {
    const long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
    if (fd >= 0) return static_cast<int>(fd);
    if ((errno != EAGAIN && errno != EINTR) || attempt == kMaxAttempts) return -errno;
  }
}

Result<UniqueFd> OpenBeneath(int dirfd, const std::string& path, uint64_t flags) {
  return Open(dirfd, path, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

Result<UniqueFd> OpenBeneathNoLinks(int dirfd, const std::string& path, uint64_t flags) {
  return Open(dirfd, path, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
}

}  // namespace krux
