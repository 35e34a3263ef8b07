// What the kernel does where numbers end at 2^64, in words of its own beside the oracle's: it stops
// there and never begins again at 0.
//
//   EXPECT_EQ(BrokenAtBounds(Shipped()), "");
#pragma once

#include <string>

#include "verification/diff/machine.h"

namespace krux::diff {

// The first property that does not hold, in words; empty when all hold.
std::string BrokenAtBounds(const Kernel& kernel);

}  // namespace krux::diff
