#include "base/sealed_memfd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // since Linux 6.3, include/uapi/linux/memfd.h
#endif

namespace krux {

Result<UniqueFd> SealedMemfd::Create(const char* name, uint64_t bytes) {
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL));
  if (!fd.valid() && errno == EINVAL) fd.reset(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return SysError(ExitCode::kInternal, "memfd_create", errno);
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    return SysError(ExitCode::kInternal, "ftruncate memfd", errno);
  }
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    return SysError(ExitCode::kInternal, "seal memfd", errno);
  }
  return fd;
}

Result<void> SealedMemfd::Seal(int fd) {
  if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
    return SysError(ExitCode::kInternal, "seal memfd", errno);
  }
  return {};
}

Result<SealedMemfd> SealedMemfd::Accept(UniqueFd fd, uint64_t max_bytes) {
  constexpr int kWanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kWanted) != kWanted) {
    return Fail(ExitCode::kBadData, "memfd", "bulk data is not sealed");
  }
  struct stat st{};
  if (fstat(fd.get(), &st) != 0) return SysError(ExitCode::kInternal, "fstat memfd", errno);
  if (st.st_size < 0 || static_cast<uint64_t>(st.st_size) > max_bytes) {
    return Fail(ExitCode::kBadData, "memfd", "bulk data is larger than allowed");
  }
  SealedMemfd sealed;
  sealed.fd_ = std::move(fd);
  sealed.size_ = static_cast<uint64_t>(st.st_size);
  return sealed;
}

Result<void> SealedMemfd::Read(uint64_t offset, std::span<uint8_t> out) const {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got =
        pread(fd_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SysError(ExitCode::kInternal, "pread memfd", errno);
    if (got == 0) return Fail(ExitCode::kBadData, "memfd", "bulk data is shorter than announced");
    done += static_cast<size_t>(got);
  }
  return {};
}

}  // namespace krux
