// The exit codes of every krux program: the one table that code, --help, man pages, docs and tests
// read. Codes 64–78 keep the meaning of sysexits.h(3) where it has one.
//
//   return krux::ToInt(ExitCode::kDenied);   // 77
#pragma once

#include <string_view>

namespace krux {

// X(enumerator, number, name on the wire and in JSON, meaning)
#define KRUX_EXIT_CODES(X)                                                        \
  X(kOk, 0, "ok", "the call succeeded")                                           \
  X(kFailed, 1, "failed", "the capability failed")                                \
  X(kUsage, 64, "usage", "the command line is wrong")                             \
  X(kBadData, 65, "bad_data", "an argument or a message is malformed")            \
  X(kNotFound, 66, "not_found", "the named thing does not exist")                 \
  X(kUnreachable, 69, "unreachable", "the gateway cannot be reached")             \
  X(kInternal, 70, "internal", "a defect in krux; nothing is known to have run")  \
  X(kSandbox, 71, "sandbox", "the sandbox could not be established; nothing ran") \
  X(kBusy, 72, "busy", "the gateway is at its limit; retry")                      \
  X(kBudget, 73, "budget", "a budget is exhausted")                               \
  X(kAudit, 74, "audit", "the log cannot be written; nothing is released")        \
  X(kAsk, 75, "ask", "the call waits for an approval")                            \
  X(kExposure, 76, "exposure", "blocked by what the session has already seen")    \
  X(kDenied, 77, "denied", "the policy denies the call")                          \
  X(kConfig, 78, "config", "a configuration or policy file is wrong")             \
  X(kVault, 79, "vault", "the vault is locked or absent")                         \
  X(kTimeout, 124, "timeout", "the call ran out of time")                         \
  X(kInterrupted, 130, "interrupted", "interrupted by the user")

enum class ExitCode : unsigned char {
#define X(enumerator, number, name, meaning) enumerator = number,
  KRUX_EXIT_CODES(X)
#undef X
};

constexpr int ToInt(ExitCode code) { return static_cast<int>(code); }

// The wire name of `code`, for example "denied".
constexpr std::string_view Name(ExitCode code) {
  switch (code) {
#define X(enumerator, number, name, meaning) \
  case ExitCode::enumerator:                 \
    return name;
    KRUX_EXIT_CODES(X)
#undef X
  }
  return "internal";
}

// The meaning of `code` in one line, as `krux help exit-codes` prints it.
constexpr std::string_view Meaning(ExitCode code) {
  switch (code) {
#define X(enumerator, number, name, meaning) \
  case ExitCode::enumerator:                 \
    return meaning;
    KRUX_EXIT_CODES(X)
#undef X
  }
  return "";
}

// The code called `name` on the wire; kInternal for a name that is not in the table.
constexpr ExitCode ExitCodeFromName(std::string_view name) {
#define X(enumerator, number, text, meaning) \
  if (name == text) return ExitCode::enumerator;
  KRUX_EXIT_CODES(X)
#undef X
  return ExitCode::kInternal;
}

}  // namespace krux
