// Log: one line per event on stderr, for the person who runs the gateway. It is not the audit log.
//
//   Log(LogLevel::kError, "krux-auditd", "cannot open `" + path + "`");
//
// Control characters are escaped, so that nothing an agent names can forge a line.
#pragma once

#include <string_view>

namespace krux {

enum class LogLevel : unsigned char { kInfo, kWarning, kError };

// "<3>krux-auditd: message": the prefix is the sd-daemon(3) priority when stderr is the journal or
// a file, and is left out on a terminal.
void Log(LogLevel level, std::string_view program, std::string_view message);

}  // namespace krux
