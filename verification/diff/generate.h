// The streams that are compared: every single step there is, and random runs from a seed.
//
//   for (uint64_t run = 0; run < 1000; ++run) { std::vector<Event> events = RandomRun(seed, run); }
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "verification/diff/event.h"

namespace krux::diff {

// 16 dimensions × 3 levels × 2 obligation × 3 risks × 8 exposures × 8 contributions × 2 ticket.
inline constexpr uint64_t kSingleSteps = 36'864;

// Hands over every single step: begin, taint, perhaps grant, decide, call.
void EverySingleStep(const std::function<void(const std::vector<Event>&)>& take);

// At most 200 events of one run: random bytes through the decoder. A run leaves no session as the
// run before it left it: it opens with an empty `begin` for each of the sixteen.
std::vector<Event> RandomRun(uint64_t seed, uint64_t run);
std::vector<uint8_t> RandomBytes(uint64_t seed, uint64_t run);

// The same opening for bytes from elsewhere.
std::vector<Event> RunOf(std::span<const uint8_t> bytes);

// SplitMix64: the same numbers on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  uint64_t Below(uint64_t bound) { return Next() % bound; }

 private:
  uint64_t state_;
};

}  // namespace krux::diff
