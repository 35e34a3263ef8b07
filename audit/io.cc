#include "audit/io.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace krux::audit {
namespace {

template <typename T>
T OrErrno(T result) {
  return result < 0 ? static_cast<T>(-errno) : result;
}

}  // namespace

int Io::OpenAt(int dir, const char* name, int flags, mode_t mode) {
  return OrErrno(openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW, mode));
}

ssize_t Io::Writev(int fd, const iovec* parts, int count) {
  // The segments are O_APPEND: pwritev(2) would ignore its offset (see its BUGS), writev says it.
  return OrErrno(writev(fd, parts, count));
}

ssize_t Io::Pread(int fd, void* out, size_t size, uint64_t offset) {
  return OrErrno(pread(fd, out, size, static_cast<off_t>(offset)));
}

int Io::Fdatasync(int fd) { return OrErrno(fdatasync(fd)); }

int Io::Fsync(int fd) { return OrErrno(fsync(fd)); }

int Io::Reserve(int fd, uint64_t size) {
  return OrErrno(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)));
}

int Io::FreeBytes(int fd, uint64_t* out) {
  struct statvfs st;
  if (fstatvfs(fd, &st) != 0) return -errno;
  *out = uint64_t{st.f_bavail} * st.f_frsize;
  return 0;
}

int Io::Truncate(int fd, uint64_t size) { return OrErrno(ftruncate(fd, static_cast<off_t>(size))); }

int Io::Fstat(int fd, struct stat* out) { return OrErrno(fstat(fd, out)); }

int Io::StatAt(int dir, const char* name, struct stat* out) {
  return OrErrno(fstatat(dir, name, out, AT_SYMLINK_NOFOLLOW));
}

int Io::Rename(int dir, const char* from, const char* to) {
  // Never over a file that is there: what is kept aside is evidence.
  return OrErrno(renameat2(dir, from, dir, to, RENAME_NOREPLACE));
}

int Io::Unlink(int dir, const char* name) { return OrErrno(unlinkat(dir, name, 0)); }

int Io::SetAppendOnly(int fd, bool on) {
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return -errno;
  const int wanted = on ? flags | FS_APPEND_FL : flags & ~FS_APPEND_FL;
  if (wanted == flags) return 0;
  return OrErrno(ioctl(fd, FS_IOC_SETFLAGS, &wanted));
}

Io& SystemIo() {
  static Io io;
  return io;
}

Result<void> WriteAll(Io& io, int fd, std::span<iovec> parts, uint64_t* written) {
  *written = 0;
  while (!parts.empty()) {
    if (parts.front().iov_len == 0) {
      parts = parts.subspan(1);
      continue;
    }
    const int count = static_cast<int>(std::min<size_t>(parts.size(), IOV_MAX));
    const ssize_t n = io.Writev(fd, parts.data(), count);
    if (n == -EINTR) continue;
    if (n < 0) return SysError(ExitCode::kAudit, "write", static_cast<int>(-n));
    // A file system that answers 0 for a non-empty write would keep this loop here for ever.
    if (n == 0) return SysError(ExitCode::kAudit, "write", EIO);
    *written += static_cast<uint64_t>(n);
    size_t done = static_cast<size_t>(n);
    while (done > 0) {
      iovec& part = parts.front();
      const size_t step = std::min(done, part.iov_len);
      part.iov_base = static_cast<uint8_t*>(part.iov_base) + step;
      part.iov_len -= step;
      done -= step;
      if (part.iov_len == 0) parts = parts.subspan(1);
    }
  }
  return {};
}

Result<cbor::Bytes> ReadWhole(Io& io, int fd, uint64_t limit) {
  struct stat st;
  if (const int e = io.Fstat(fd, &st); e < 0) return SysError(ExitCode::kAudit, "stat", -e);
  if (!S_ISREG(st.st_mode)) return Fail(ExitCode::kAudit, "read", "not a regular file");
  const uint64_t size = static_cast<uint64_t>(st.st_size);
  if (size > limit) {
    return Fail(
        ExitCode::kAudit, "read",
        "the file has " + std::to_string(size) + " bytes, more than " + std::to_string(limit));
  }
  // After a failed write-back the page cache can hold bytes that the disk never got, marked clean.
  // Dropping clean pages makes the read show what would be there after a power cut.
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  cbor::Bytes bytes(size);
  size_t got = 0;
  while (got < bytes.size()) {
    const ssize_t n = io.Pread(fd, bytes.data() + got, bytes.size() - got, got);
    if (n == -EINTR) continue;
    if (n < 0) return SysError(ExitCode::kAudit, "read", static_cast<int>(-n));
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

Result<void> WriteFileDurably(Io& io, int dir, const std::string& name, mode_t mode,
                              std::span<const uint8_t> bytes) {
  const std::string temporary = name + ".new";
  io.Unlink(dir, temporary.c_str());
  UniqueFd fd(io.OpenAt(dir, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL, mode));
  if (fd.get() < 0) return SysError(ExitCode::kAudit, "create `" + temporary + "`", -fd.release());
  iovec part{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  uint64_t written = 0;
  auto result = WriteAll(io, fd.get(), std::span(&part, 1), &written);
  if (result) {
    if (const int e = io.Fsync(fd.get()); e < 0) result = SysError(ExitCode::kAudit, "fsync", -e);
  }
  if (result) {
    const int e = io.Rename(dir, temporary.c_str(), name.c_str());
    if (e < 0) result = SysError(ExitCode::kAudit, "rename to `" + name + "`", -e);
  }
  if (!result) {
    io.Unlink(dir, temporary.c_str());
    return result;
  }
  if (const int e = io.Fsync(dir); e < 0) return SysError(ExitCode::kAudit, "fsync directory", -e);
  return {};
}

}  // namespace krux::audit
