// SealedMemfd: bulk bytes between processes. The maker fixes the size first, the reader insists on
// the seals and reads with pread(2), so that nothing can shrink or change under it.
// memfd_create(2), fcntl(2) "File Sealing".
//
//   UniqueFd fd = KRUX_TRY(SealedMemfd::Create("krux-result", 1 << 20));
//   …fill…
//   KRUX_TRY(SealedMemfd::Seal(fd.get()));
//   SealedMemfd sealed = KRUX_TRY(SealedMemfd::Accept(std::move(fd), 16 << 20));
#pragma once

#include <cstdint>
#include <span>

#include "base/error.h"
#include "base/unique_fd.h"

namespace krux {

class SealedMemfd {
 public:
  SealedMemfd() = default;
  // A memfd of exactly `bytes`, sealed against growing and shrinking, not yet against writing.
  static Result<UniqueFd> Create(const char* name, uint64_t bytes);
  // Adds F_SEAL_WRITE and F_SEAL_SEAL; EBUSY while somebody still maps it for writing.
  static Result<void> Seal(int fd);
  // Takes a descriptor from another process: kBadData unless it carries SHRINK, GROW and WRITE and
  // is at most `max_bytes` long.
  static Result<SealedMemfd> Accept(UniqueFd fd, uint64_t max_bytes);

  uint64_t size() const { return size_; }
  int fd() const { return fd_.get(); }
  bool valid() const { return fd_.valid(); }
  UniqueFd TakeFd() { return std::move(fd_); }
  // Reads exactly out.size() bytes at `offset`; kBadData when they are not all there.
  Result<void> Read(uint64_t offset, std::span<uint8_t> out) const;

 private:
  UniqueFd fd_;
  uint64_t size_ = 0;
};

}  // namespace krux
