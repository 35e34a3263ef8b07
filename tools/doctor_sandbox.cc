#include "tools/doctor_sandbox.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "gateway/client/ensure.h"

namespace krux::tools {

Result<Scratch> Scratch::Make() {
  const char* tmp = getenv("TMPDIR");
  std::string path =
      std::string(tmp != nullptr && *tmp == '/' ? tmp : "/tmp") + "/krux-doctor-XXXXXX";
  if (mkdtemp(path.data()) == nullptr)
    return SysError(ExitCode::kConfig, "make `" + path + "`", errno);
  // The daemons' own users must be able to pass through; the folders inside are closed.
  chmod(path.c_str(), 0711);
  std::filesystem::create_directory(path + "/work");
  return Scratch(std::move(path));
}

Scratch::~Scratch() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<gateway::Client> StartGatewayIn(const std::string& scratch,
                                       const std::vector<std::string>& degraded) {
  setenv("KRUX_STATE_DIR", (scratch + "/state").c_str(), 1);
  setenv("KRUX_RUNTIME_DIR", (scratch + "/run").c_str(), 1);
  const gateway::GatewayPaths paths = KRUX_TRY(gateway::FindGatewayPaths());
  gateway::StartOptions start;
  start.allow_degraded = degraded;
  return gateway::EnsureGateway(paths, start);
}

Result<void> StopGateway() {
  const gateway::GatewayPaths paths = KRUX_TRY(gateway::FindGatewayPaths());
  gateway::Client admin = KRUX_TRY(gateway::Client::ConnectAdmin(paths));
  return admin.Stop();
}

}  // namespace krux::tools
