// What hostile clients cost a client that has nothing to do with them, as ratios of one run.
//
//   KRUX_TRY(MeasureLoad(scratch, krux, 400));   // prints one line per attack
#pragma once

#include <string>

#include "gateway/client/ensure.h"

namespace krux::bench {

// `scratch`/victim and `scratch`/attacker are made; the gateway of `paths` runs. `calls` per row.
Result<void> MeasureLoad(const gateway::GatewayPaths& paths, const std::string& scratch,
                         size_t calls);

}  // namespace krux::bench
