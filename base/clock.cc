#include "base/clock.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>

namespace krux {
namespace {

uint64_t ReadClock(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

class MachineClock final : public Clock {
 public:
  uint64_t WallNs() const override { return ReadClock(CLOCK_REALTIME); }
  uint64_t MonotonicNs() const override { return ReadClock(CLOCK_MONOTONIC); }
};

class MachineRandom final : public Random {
 public:
  void Fill(std::span<uint8_t> out) override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t got = getrandom(out.data() + done, out.size() - done, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) std::abort();  // getrandom(2): cannot fail with these arguments
      done += static_cast<size_t>(got);
    }
  }
};

}  // namespace

Clock& SystemClock() {
  static MachineClock clock;
  return clock;
}

Random& SystemRandom() {
  static MachineRandom random;
  return random;
}

}  // namespace krux
