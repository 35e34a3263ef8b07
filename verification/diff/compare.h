// Where two kernels give different answers to a stream, and what the stream reached.
//
//   Coverage coverage;
//   std::optional<size_t> at = FirstDifference(Shipped(), batch, &coverage);
//   if (at) Regression small = Shrink(Shipped(), oracle, RunAround(batch, *at));
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "verification/diff/machine.h"
#include "verification/diff/oracle.h"
#include "verification/diff/text.h"

namespace krux::diff {

// How often what was reached, by name. Every name must be reached, or a comparison says little.
class Coverage {
 public:
  Coverage();
  void Count(const Event& event, const krux_state& before, const Result& result,
             const Machine& after);
  std::vector<std::string> Missing() const;
  std::string Text() const;
  void Add(const Coverage& other);
  uint64_t at(const std::string& name) const { return reached_.at(name); }

 private:
  void Decision(const Event& event, const krux_state& before, const Result& result);
  void Session(const Event& event, const krux_state& before, const Result& result,
               const krux_state& after);
  void Hit(const std::string& name);

  std::map<std::string, uint64_t> reached_;
  uint64_t last_now_ = 0;
};

// The first event whose answer is not the oracle's; `coverage` may be null.
std::optional<size_t> FirstDifference(const Kernel& kernel, const Batch& batch, Coverage* coverage);

// The events of the run that holds event `at`, up to it.
std::vector<Event> RunAround(const Batch& batch, size_t at);

// As few events as still differ, with as many fields zero as can be, and the oracle's answers.
Regression Shrink(const Kernel& kernel, const std::string& oracle, std::vector<Event> events);

}  // namespace krux::diff
