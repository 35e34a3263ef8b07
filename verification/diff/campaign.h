// A whole comparison of the shipped kernel with its oracle: every single step, then random runs.
//
//   Campaign campaign{.oracle = "…/krux_oracle", .seed = 1, .events = 1'000'000};
//   return Compare(campaign) ? 0 : 1;
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "verification/diff/compare.h"

namespace krux::diff {

struct Campaign {
  std::string oracle;
  uint64_t seed = 1;
  uint64_t events = 1'000'000;      // of the random runs
  std::vector<std::string> inputs;  // files or folders of bytes for the decoder
  std::string regressions;          // folder that takes what differs
};

// Hands over batches that the oracle has answered, in order; stops where `take` says false. What
// went wrong, empty when nothing did.
std::string SingleStepBatches(const std::string& oracle, const std::function<bool(Batch&)>& take);
std::string RandomBatches(const std::string& oracle, uint64_t seed, uint64_t events,
                          const std::function<bool(Batch&)>& take);

// Prints what was compared and reached; true when all answers agree and all was reached.
bool Compare(const Campaign& campaign);

// The kept regressions against their recorded answers and, where an oracle is given, against it.
bool Replay(const std::vector<std::string>& paths, const std::string& oracle);

// Prints the events of a file with the oracle's answers behind each: a new regression.
bool AnswerEvents(const std::string& path, const std::string& oracle);

}  // namespace krux::diff
