// Allowance: so many per second on average, and a burst. What is beyond it is not refused but
// waits.
//
//   Allowance frames(2'000, now_ns);
//   frames.Spend(now_ns);
//   if (frames.Overdrawn(now_ns)) connection.Pause();
#pragma once

#include <algorithm>
#include <cstdint>

namespace krux::gateway {

class Allowance {
 public:
  // The burst is what half a second brings, at least one.
  Allowance(uint64_t per_second, uint64_t now_ns)
      : per_second_(static_cast<int64_t>(per_second)), at_ns_(now_ns), left_(Burst()) {}

  void Spend(uint64_t now_ns) {
    Refill(now_ns);
    left_ -= kOne;
  }
  bool Overdrawn(uint64_t now_ns) {
    Refill(now_ns);
    return left_ < kOne;
  }
  void Empty() { left_ = 0; }
  // Nothing was spent lately: forgetting it changes nothing.
  bool Full(uint64_t now_ns) {
    Refill(now_ns);
    return left_ == Burst();
  }

 private:
  static constexpr int64_t kOne = 1'000'000'000;  // so that one nanosecond brings `per_second_`
  int64_t Burst() const { return std::max<int64_t>(per_second_ / 2, 1) * kOne; }
  void Refill(uint64_t now_ns) {
    const auto passed = static_cast<int64_t>(now_ns - at_ns_);
    at_ns_ = now_ns;
    // Longer pauses are cut before the product could overflow.
    left_ = std::min(Burst(), left_ + std::min<int64_t>(passed, kOne) * per_second_);
  }
  int64_t per_second_;
  uint64_t at_ns_;
  int64_t left_;
};

}  // namespace krux::gateway
