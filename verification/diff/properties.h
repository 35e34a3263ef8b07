// What the model proves of every event, asserted on the shipped kernel: authority falls, exposure
// rises, budgets fall, a deny stays one, and two states with the same bytes are the same state.
//
//   const krux_state before = machine.session(event.session);
//   const Result result = machine.Apply(event);
//   KRUX_HOLDS(Broken(before, event, result, machine).empty());
#pragma once

#include <string>

#include "verification/diff/machine.h"

namespace krux::diff {

// The first property that this step broke, in words; empty when all hold.
std::string Broken(const krux_state& before, const Event& event, const Result& result,
                   const Machine& after);

}  // namespace krux::diff
