#include "base/config.h"

#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/toml.h"

namespace krux {
namespace {

std::unexpected<Error> Wrong(std::string_view file, const toml::node& node,
                             const std::string& why) {
  return Fail(ExitCode::kConfig, "config", TomlPlace(file, node.source()) + why);
}

Result<void> ReadSandbox(const toml::table& table, std::string_view file, Config& config) {
  for (const auto& [key, node] : table) {
    if (key == "allow_degraded") {
      const toml::array* list = node.as_array();
      if (list == nullptr)
        return Wrong(file, node, "`sandbox.allow_degraded` must be a list of layer names");
      for (const toml::node& item : *list) {
        const auto name = item.value_exact<std::string>();
        if (!name) return Wrong(file, item, "`sandbox.allow_degraded` must hold layer names");
        config.allow_degraded.push_back(*name);
      }
    } else if (key == "host_uid") {
      const auto uid = node.value_exact<int64_t>();
      if (!uid || *uid < 1 || *uid > 0xfffffffe) {
        return Wrong(file, node, "`sandbox.host_uid` must be a user id above 0");
      }
      config.host_uid = static_cast<unsigned>(*uid);
    } else {
      return Wrong(file, node,
                   "unknown key `sandbox." + std::string(key.str()) +
                       "`; known keys are `allow_degraded` and `host_uid`");
    }
  }
  return {};
}

Result<void> ReadLimits(const toml::table& table, std::string_view file, Config& config) {
  for (const auto& [key, node] : table) {
    const auto value = node.value_exact<int64_t>();
    const std::string name(key.str());
    if (!value || *value < 0) {
      return Wrong(file, node, "`limits." + name + "` must be a number of 0 or more");
    }
    config.limits.push_back({name, static_cast<uint64_t>(*value), TomlPlace(file, node.source())});
  }
  return {};
}

}  // namespace

Result<Config> ParseConfig(std::string_view text, std::string_view file) {
  const toml::table parsed = KRUX_TRY(ParseToml(text, file));
  Config config;
  for (const auto& [key, node] : parsed) {
    if (key == "ceiling") {
      config.ceiling = node.value_exact<std::string>();
      if (!config.ceiling) return Wrong(file, node, "`ceiling` must be the name of a profile");
    } else if (key == "sandbox" && node.is_table()) {
      KRUX_TRY(ReadSandbox(*node.as_table(), file, config));
    } else if (key == "limits" && node.is_table()) {
      KRUX_TRY(ReadLimits(*node.as_table(), file, config));
    } else {
      return Wrong(file, node,
                   "unknown key `" + std::string(key.str()) +
                       "`; known keys are `ceiling` and the tables `sandbox` and `limits`");
    }
  }
  return config;
}

Result<Config> LoadConfig(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    if (errno == ENOENT || errno == ENOTDIR) return Config{};
    return SysError(ExitCode::kConfig, "open `" + path + "`", errno);
  }
  std::ostringstream text;
  text << in.rdbuf();
  return ParseConfig(text.str(), path);
}

}  // namespace krux
