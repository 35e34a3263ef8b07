// Config: krux.toml, the operator's file. Unknown keys and wrong types are errors with line and
// column.
//
//   Config config = KRUX_TRY(LoadConfig("/etc/krux/krux.toml"));
//
// An absent file is an empty configuration; an unreadable one is an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace krux {

struct Config {
  // A key of [limits]. What the keys are is not known here: gateway/bounds.h.
  struct Limit {
    std::string name;
    uint64_t value = 0;
    std::string where;  // "krux.toml:3:1: "
  };
  std::vector<std::string> allow_degraded;  // sandbox.allow_degraded = ["cgroup"]
  std::optional<unsigned> host_uid;         // sandbox.host_uid: outer id of workers
  std::vector<Limit> limits;
  std::optional<std::string> ceiling;  // ceiling = "local_dev": widest profile a client may name
};

Result<Config> ParseConfig(std::string_view text, std::string_view file);
Result<Config> LoadConfig(const std::string& path);

}  // namespace krux
