#include "base/log.h"

#include <unistd.h>

#include <string>

#include "base/terminal.h"

namespace krux {

void Log(LogLevel level, std::string_view program, std::string_view message) {
  static constexpr const char* kPriority[] = {"<6>", "<4>", "<3>"};
  std::string line;
  if (isatty(STDERR_FILENO) == 0) line += kPriority[static_cast<int>(level)];
  line += program;
  line += ": ";
  line += EscapeLine(message);
  line += '\n';
  // One write(2) a line, so that lines of several daemons do not mix; a full disk is not our
  // trouble.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace krux
