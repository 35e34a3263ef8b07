// The extracted model as a process: a stream of events in, results out.
//
//   Answer answer = Ask("build/release/bin/krux_oracle", stream);
//   if (!answer.error.empty()) …
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "verification/diff/event.h"
#include "verification/diff/machine.h"

namespace krux::diff {

// A stream with what is known of it.
struct Batch {
  std::vector<uint8_t> stream;  // with its magic
  std::vector<size_t> starts;   // where in `stream` each event begins
  std::vector<size_t> runs;     // index of the first event of each run
  std::vector<Result> answers;  // the oracle's, once asked

  Batch();
  void Add(const std::vector<Event>& run);
  size_t events() const { return starts.size(); }
};

// Fills `answers`; what went wrong otherwise, empty when nothing did.
std::string Ask(const std::string& oracle, Batch& batch);

}  // namespace krux::diff
