// UniqueFd owns one file descriptor and closes it once.
//
//   UniqueFd fd(open("/dev/null", O_RDWR | O_CLOEXEC));
//   if (!fd.valid()) ...
//
// There is no operator bool: descriptor 0 is valid, and `if (fd)` reads as a test for it.
#pragma once

#include <unistd.h>

#include <utility>

namespace krux {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  // Closes what is held. close(2) is not retried on EINTR: on Linux the descriptor is gone.
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace krux
