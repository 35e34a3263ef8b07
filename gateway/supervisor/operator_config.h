// What the operator decided: the configuration file, and the words of `krux gateway start` on top.
//
//   GatewayOptions effective = KRUX_TRY(WithConfig(options));
#pragma once

#include "gateway/supervisor/supervisor.h"

namespace krux::gateway {

// The profile that no client goes beyond where nobody says otherwise.
inline constexpr const char* kDefaultCeiling = "local_dev";

// Reads options.paths.config_file and fills in what `options` leaves open: the ceiling, the outer
// id of workers; layers that may be missing are added up. kConfig for a file that others than root
// and the caller can write, for its mistakes (file:line:column), and for a layer that nothing
// stands in for.
Result<GatewayOptions> WithConfig(GatewayOptions options);

}  // namespace krux::gateway
