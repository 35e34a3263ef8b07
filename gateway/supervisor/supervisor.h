// RunGateway: the supervisor of a private gateway (`krux gateway run`). It holds the lock, the
// listeners and the ids, starts one generation of daemons — krux-auditd, krux-mountd, krux-spawnd,
// kruxd — and when any of them dies ends them all and starts a fresh generation: crash-only.
//
//   GatewayOptions options;
//   options.paths = KRUX_TRY(FindGatewayPaths());
//   options.allow_degraded = {"cgroup"};
//   KRUX_TRY(RunGateway(options));          // returns when it was stopped or nobody needed it
//
// It parses nothing that a client sent: what kruxd tells it (ready, clients, stop) is three fixed
// messages on a control channel, docs/PROTOCOL.md "supervisor".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "gateway/client/paths.h"

namespace krux::gateway {

struct GatewayOptions {
  GatewayPaths paths;
  std::vector<std::string> allow_degraded;  // names of layers that may be missing
  std::string ceiling;               // widest profile that clients may name; empty: the file's
  std::optional<unsigned> host_uid;  // outer id of workers; none: the file's, else a free one
  bool keep = false;                 // do not exit when nobody is connected
  uint64_t idle_seconds = 60;        // after the last client
  bool restart = true;               // false (`--no-restart`): a dead daemon stays dead
  std::string limits;                // "name=value,…" of gateway/bounds.h, handed to kruxd
  // Gets "ok\n" when the gateway serves, or "error <code> <message>\n"; then it is closed. -1:
  // none.
  int ready_fd = -1;
  // Where krux-auditd and the others are; empty: $KRUX_LIBEXEC_DIR, else beside the running
  // program.
  std::string libexec_dir;
  bool log_to_stderr = false;  // else the daemons' stderr goes to paths.gateway_log
};

// Error codes: kConfig (folders, paths, ids), kBusy (another supervisor holds the lock), kSandbox.
Result<void> RunGateway(const GatewayOptions& options);

}  // namespace krux::gateway
