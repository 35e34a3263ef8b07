// Where a gateway lives: its sockets and its state, and the checks those folders must pass.
//
//   GatewayPaths paths = KRUX_TRY(FindGatewayPaths());
//   KRUX_TRY(CheckRuntimePaths(paths));
//   Client client = KRUX_TRY(Client::Connect(paths));
//
// Service: /run/krux/gateway.sock. Embedded: runtime folder = $KRUX_RUNTIME_DIR, else (root)
// /run/krux-embedded, else $XDG_RUNTIME_DIR/krux, else <state>/run; state folder = $KRUX_STATE_DIR,
// else (root) /var/lib/krux-embedded, else $XDG_STATE_HOME/krux, else ~/.local/state/krux.
// The operator's configuration = $KRUX_CONFIG (its folder then counts as krux's own: no WORK
// overlaps it), else (root) /etc/krux/krux.toml, else $XDG_CONFIG_HOME/krux/krux.toml, else
// ~/.config/krux/krux.toml.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace krux::gateway {

inline constexpr const char* kServiceSocket = "/run/krux/gateway.sock";

struct GatewayPaths {
  bool service = false;  // a krux service is installed here: never start a private gateway
  uid_t owner = 0;       // who must be serving the sockets (SO_PEERCRED)
  std::string runtime_dir;
  std::string state_dir;
  std::string gateway_socket;  // agents
  std::string admin_socket;    // operators
  std::string gateway_log;     // the daemons' stderr
  std::string audit_dir;       // <state>/audit: one folder per log id
  std::string audit_public_key;
  std::string config_file;  // the operator's krux.toml; need not exist
};

// Reads the environment and the caller's uid. Relative paths in the environment are kConfig.
// KRUX_RUNTIME_DIR, when set, also hides an installed service: it names one private gateway.
Result<GatewayPaths> FindGatewayPaths();

// kConfig when a socket path is longer than 107 bytes, or the runtime folder exists and is a link,
// is not a folder, belongs to somebody else or is open to others.
Result<void> CheckRuntimePaths(const GatewayPaths& paths);

// Makes `path` (and its parents, 0755) as a folder of mode 0700 of the caller's if it is absent,
// and returns it opened O_DIRECTORY. kConfig for a link, another owner, or any access of group or
// others.
Result<UniqueFd> MakePrivateDir(const std::string& path);

}  // namespace krux::gateway
