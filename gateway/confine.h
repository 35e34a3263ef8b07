// ConfineDaemon: kruxd and other daemons of the gateway give up what they never need, before they
// read their first byte: new privileges, every file, every new network socket.
//
//   KRUX_TRY(ConfineDaemon());   // after the last open(2), before the first read
#pragma once

#include "base/error.h"

namespace krux::gateway {

// no_new_privs, not dumpable, Landlock with no rule at all (every handled access is refused). On a
// kernel without Landlock the rest still holds and the log says so.
Result<void> ConfineDaemon();

}  // namespace krux::gateway
