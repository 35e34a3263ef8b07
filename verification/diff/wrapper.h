// policy::Decide, which the gateway calls, on the same events: what it makes of the kernel's answer
// is compared with the oracle too.
//
//   if (auto at = FirstWrapperDifference(batch)) …
#pragma once

#include <optional>

#include "verification/diff/oracle.h"

namespace krux::diff {

// The first event whose answer through policy::Decide is not the oracle's. Of scopes, the number
// that hold and the number that do not go over, as the gateway would say them.
std::optional<size_t> FirstWrapperDifference(const Batch& batch);

}  // namespace krux::diff
