// Events for people: one line an event, only the fields that are not zero.
//
//   call 3 now_ms=1000 call.dimension=git_push call.sink=true => false …
//
// A regression file is such lines, comments (#), and behind each `=>` what the oracle answered.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "verification/diff/event.h"
#include "verification/diff/machine.h"

namespace krux::diff {

std::string ToText(const Event& event);
// Empty where the line is an event; what is wrong with it otherwise.
std::string FromText(std::string_view line, Event& event);

std::string ToText(const Result& result);

struct Regression {
  std::vector<Event> events;
  std::vector<Result> answers;
};
std::string WriteRegression(const Regression& regression, const std::string& comment);
std::string ReadRegression(std::string_view text, Regression& regression);

}  // namespace krux::diff
