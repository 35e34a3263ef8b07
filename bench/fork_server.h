// ForkServer: the floor. A server without any sandbox that forks a process per call, over the same
// kind of socket and with the same kind of answer (bytes in a memfd) as krux.
//
//   ForkServer server = KRUX_TRY(ForkServer::Start());
//   std::string content = KRUX_TRY(server.Read("/etc/hostname"));
#pragma once

#include <sys/types.h>

#include <string>

#include "base/channel.h"
#include "base/error.h"

namespace krux::bench {

class ForkServer {
 public:
  static Result<ForkServer> Start();
  ForkServer(ForkServer&& other) noexcept;
  ForkServer& operator=(ForkServer&&) = delete;
  ~ForkServer();
  Result<std::string> Read(const std::string& path);

 private:
  ForkServer(Channel channel, pid_t pid) : channel_(std::move(channel)), pid_(pid) {}
  Channel channel_;
  pid_t pid_;
};

}  // namespace krux::bench
