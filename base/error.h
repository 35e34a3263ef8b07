// Result<T> and Error: how every fallible function of krux answers.
//
//   Result<UniqueFd> OpenLog(const char* path) {
//     UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
//     if (!fd.valid()) return SysError(ExitCode::kAudit, "open log", errno);
//     return fd;
//   }
//   Result<void> Use() {
//     UniqueFd fd = KRUX_TRY(OpenLog("seg-0.klog"));
//     return {};
//   }
//
// Deny and Ask are values of policy, never errors.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "base/exit_code.h"

namespace krux {

struct Error {
  ExitCode code = ExitCode::kInternal;  // what the program that reports it exits with
  int sys_errno = 0;                    // errno(3) of the system call behind it, 0 if none
  std::string stage;                    // what was being done, e.g. "landlock", "open work"
  std::string message;                  // lower case, user input in backticks, then the next action
};

template <typename T>
using Result = std::expected<T, Error>;

// An error without a system call behind it.
std::unexpected<Error> Fail(ExitCode code, std::string_view stage, std::string message);

// An error of a system call: the message is "<stage>: <strerror>"; `detail` is appended if given.
std::unexpected<Error> SysError(ExitCode code, std::string_view stage, int sys_errno,
                                std::string_view detail = {});

namespace detail {
template <typename T>
T Take(Result<T>&& result) {
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace detail

// Evaluates to the value of a Result, or returns its error from the enclosing function.
#define KRUX_TRY(expression)                                                          \
  __extension__({                                                                     \
    auto krux_try_result = (expression);                                              \
    if (!krux_try_result) return std::unexpected(std::move(krux_try_result.error())); \
    ::krux::detail::Take(std::move(krux_try_result));                                 \
  })

}  // namespace krux
