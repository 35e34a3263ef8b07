// ConfineDaemon: kruxd and other daemons of the gateway give up what they never need, before they
// read their first byte: new privileges, every file, every new network socket.
//
//   KRUX_TRY(ConfineDaemon());   // after the last open(2), before the first read
#pragma once

#include "base/error.h"

namespace krux::gateway {

// base/self_confine.h with one rule: its own /proc/self/fdinfo, where the pids of workers are read.
Result<void> ConfineDaemon();

}  // namespace krux::gateway
