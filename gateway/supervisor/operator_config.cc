#include "gateway/supervisor/operator_config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/config.h"
#include "gateway/bounds_text.h"

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

Result<std::string> LimitWords(const std::vector<Config::Limit>& limits) {
  Bounds bounds;
  std::string words;
  for (const Config::Limit& limit : limits) {
    if (auto set = SetBound(bounds, limit.name, limit.value); !set) {
      set.error().message = limit.where + set.error().message;
      return std::unexpected(std::move(set.error()));
    }
    words += (words.empty() ? "" : ",") + limit.name + "=" + std::to_string(limit.value);
  }
  return words;
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
  if (options.limits.empty()) options.limits = KRUX_TRY(LimitWords(config.limits));
  if (!options.host_uid) options.host_uid = config.host_uid;
  return options;
}

}  // namespace krux::gateway
