// Io: every system call with which the log is written, as one object, so that tests decide which of
// them fails, comes up short, or is interrupted. Each method answers like the system call, but with
// -errno in place of -1.
//
//   Io& io = SystemIo();
//   int fd = io.OpenAt(dir, "seg-0.klog", O_WRONLY | O_APPEND, 0600);
//   if (fd < 0) return SysError(ExitCode::kAudit, "open segment", -fd);
#pragma once

#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <string>

#include "base/cbor_value.h"
#include "base/error.h"
#include "base/unique_fd.h"

namespace krux::audit {

class Io {
 public:
  virtual ~Io() = default;
  // O_CLOEXEC and O_NOFOLLOW are always added: nothing of the log is ever reached through a link.
  virtual int OpenAt(int dir, const char* name, int flags, mode_t mode);
  virtual ssize_t Writev(int fd, const iovec* parts, int count);
  virtual ssize_t Pread(int fd, void* out, size_t size, uint64_t offset);
  virtual int Fdatasync(int fd);
  virtual int Fsync(int fd);
  // FALLOC_FL_KEEP_SIZE: reserves blocks for the first `size` bytes without changing the file size.
  virtual int Reserve(int fd, uint64_t size);
  // What an unprivileged process may still take of the file system, in bytes.
  virtual int FreeBytes(int fd, uint64_t* out);
  virtual int Truncate(int fd, uint64_t size);
  virtual int Fstat(int fd, struct stat* out);
  virtual int StatAt(int dir, const char* name, struct stat* out);
  virtual int Rename(int dir, const char* from, const char* to);
  virtual int Unlink(int dir, const char* name);
  // FS_APPEND_FL (chattr +a, ioctl_iflags(2)); needs CAP_LINUX_IMMUTABLE and a file system that has
  // it.
  virtual int SetAppendOnly(int fd, bool on);
};

Io& SystemIo();

// Writes every byte, going on after short writes and EINTR. `*written` says how many bytes are in
// the file afterwards also when an error is returned.
Result<void> WriteAll(Io& io, int fd, std::span<iovec> parts, uint64_t* written);

// The whole file, at most `limit` bytes (more is an error), in the state the disk holds.
Result<cbor::Bytes> ReadWhole(Io& io, int fd, uint64_t limit);

// A small file that appears whole or not at all: temporary name, fsync, rename, fsync of `dir`.
Result<void> WriteFileDurably(Io& io, int dir, const std::string& name, mode_t mode,
                              std::span<const uint8_t> bytes);

}  // namespace krux::audit
