#include "base/error.h"

#include <cstring>

namespace krux {

std::unexpected<Error> Fail(ExitCode code, std::string_view stage, std::string message) {
  return std::unexpected(Error{code, 0, std::string(stage), std::move(message)});
}

std::unexpected<Error> SysError(ExitCode code, std::string_view stage, int sys_errno,
                                std::string_view detail) {
  std::string message(stage);
  message += ": ";
  message += strerrordesc_np(sys_errno) != nullptr ? strerrordesc_np(sys_errno) : "unknown error";
  if (!detail.empty()) {
    message += "; ";
    message += detail;
  }
  return std::unexpected(Error{code, sys_errno, std::string(stage), std::move(message)});
}

}  // namespace krux
