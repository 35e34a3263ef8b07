// The policy step alone, beside a whole call of the same run: bind → plan → decide, and the reading
// of many rules beside what their bytes cost anyway.
//
//   PrintPolicyStep(p50_of_a_call_us);
//   KRUX_TRY(MeasureReload(paths, scratch));
#pragma once

#include <string>

#include "base/error.h"
#include "gateway/client/paths.h"

namespace krux::bench {

// Writes `rules` rules in ten policy files into `folder`, a little different for each `version`.
void WriteRules(const std::string& folder, int rules, int version);

Result<void> PrintPolicyStep(double call_p50_us);
// `krux policy reload` of 1,000 rules in `folder`, through the gateway at `paths`, which serves the
// clients of this process meanwhile.
Result<void> MeasureReload(const gateway::GatewayPaths& paths, const std::string& folder);

}  // namespace krux::bench
