// Clock and Random: time and chance as objects, so that tests decide both.
#pragma once

#include <cstdint>
#include <span>

namespace krux {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual uint64_t WallNs() const = 0;       // CLOCK_REALTIME, nanoseconds since 1970
  virtual uint64_t MonotonicNs() const = 0;  // CLOCK_MONOTONIC, nanoseconds
};

class Random {
 public:
  virtual ~Random() = default;
  // Fills `out` with unpredictable bytes; getrandom(2) does not fail once the pool is ready.
  virtual void Fill(std::span<uint8_t> out) = 0;
};

// The machine's own clock and randomness.
Clock& SystemClock();
Random& SystemRandom();

}  // namespace krux
