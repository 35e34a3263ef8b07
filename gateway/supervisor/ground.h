// PrepareGround: everything a gateway stands on before its first daemon: folders, locks, ids,
// doors, the daemons' binaries, the log, the cgroup.
//
//   Ground ground = KRUX_TRY(PrepareGround(options, locks));
#pragma once

#include "gateway/supervisor/generation.h"

namespace krux::gateway {

// Held for the supervisor's life: one gateway per runtime folder and one per state folder.
struct Locks {
  UniqueFd runtime;
  UniqueFd state;
};

// kBusy when another supervisor holds a lock for too long (one that is ending gets 10 s).
Result<Locks> TakeLocks(const GatewayPaths& paths);
Result<Ground> PrepareGround(const GatewayOptions& options);
// Root: copies the public key that krux-auditd wrote to where verifiers look for it, once; a key
// that differs from the published one is kAudit.
Result<void> PublishKey(const Ground& ground);

}  // namespace krux::gateway
