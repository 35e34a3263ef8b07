#include "gateway/supervisor/operator_config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/config.h"

namespace krux::gateway {
namespace {

// Whoever writes this file decides what may be missing, so it must be the operator.
Result<void> CheckOwner(const std::string& path) {
  struct stat st{};
  if (stat(path.c_str(), &st) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return SysError(ExitCode::kConfig, "look at `" + path + "`", errno);
  }
  if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022) != 0) {
    return Fail(
        ExitCode::kConfig, "config",
        "`" + path + "` can be written by others; run `chmod go-w " + path + "` and make it yours");
  }
  return {};
}

// rlimits stand in for the limits of a cgroup. For every other layer there is nothing.
Result<void> CheckDegraded(const std::vector<std::string>& layers) {
  for (const std::string& layer : layers) {
    if (layer == "cgroup") continue;
    return Fail(ExitCode::kConfig, "config",
                "the layer `" + layer + "` cannot be missing; `cgroup` is the only one that can");
  }
  return {};
}

}  // namespace

Result<GatewayOptions> WithConfig(GatewayOptions options) {
  KRUX_TRY(CheckOwner(options.paths.config_file));
  const Config config = KRUX_TRY(LoadConfig(options.paths.config_file));
  for (const std::string& layer : config.allow_degraded) {
    if (std::ranges::find(options.allow_degraded, layer) == options.allow_degraded.end()) {
      options.allow_degraded.push_back(layer);
    }
  }
  KRUX_TRY(CheckDegraded(options.allow_degraded));
  if (options.ceiling.empty()) options.ceiling = config.ceiling.value_or(kDefaultCeiling);
  if (!options.host_uid) options.host_uid = config.host_uid;
  return options;
}

}  // namespace krux::gateway
