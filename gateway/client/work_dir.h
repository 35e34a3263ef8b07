// WORK: the directory tree a session works in, chosen and opened by the client itself, with the
// caller's own authority. The gateway never opens it by name.
//
//   WorkDir work = KRUX_TRY(ChooseWork(std::nullopt));
//   Opened opened = KRUX_TRY(client.Open(work, "local_dev"));
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace krux::gateway {

struct WorkDir {
  UniqueFd fd;       // O_RDONLY | O_DIRECTORY
  std::string path;  // absolute, for messages and for making paths of arguments absolute
};

// `named` (--work), else the git top level of the current directory if that directory and its .git
// belong to the caller, else the current directory. Without a name never / and never the home
// directory itself: kConfig.
Result<WorkDir> ChooseWork(const std::optional<std::string>& named);

}  // namespace krux::gateway
