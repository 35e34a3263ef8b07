// EnsureGateway: a connected Client, whatever it takes. Where no service is installed and no
// private gateway runs, one is started: `krux gateway run`, detached, with one line said about it.
//
//   Client client = KRUX_TRY(EnsureGateway(paths, {.say = [](std::string_view s) { … }}));
//
// Callers that race start one gateway: the start is serialised by a lock in the runtime folder. A
// gateway whose daemons are just being replaced is waited for, not started a second time.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/client/client.h"

namespace krux::gateway {

struct StartOptions {
  // Layers that may be missing, e.g. "cgroup". Only the start of a gateway can widen: a running
  // gateway that does not already allow them is refused with kConfig.
  std::vector<std::string> allow_degraded;
  // False: a gateway that does not run is kUnreachable.
  bool may_start = true;
  // `krux gateway run` is asked of this program.
  std::string krux_program = "/proc/self/exe";
  // More words of `krux gateway run`, e.g. {"--keep"}.
  std::vector<std::string> extra_arguments;
  // Gets one line without newline when a gateway was started.
  std::function<void(std::string_view)> say;
  int start_timeout_ms = static_cast<int>(kStartMs);
};

Result<Client> EnsureGateway(const GatewayPaths& paths, const StartOptions& options);

// Ends the gateway, also one whose daemons are just being replaced. False: none ran.
Result<bool> StopGateway(const GatewayPaths& paths, int timeout_ms = 20'000);

struct OpenedSession {
  Client client;
  OpenReply session;
};
// EnsureGateway and Client::Open, again and again while the gateway dies in between: until a call
// is made nothing can have had an effect.
Result<OpenedSession> OpenSession(const GatewayPaths& paths, const StartOptions& options,
                                  const WorkDir& work, std::string_view profile);

}  // namespace krux::gateway
