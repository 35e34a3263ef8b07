// LastWords: why a daemon ended, as it said itself, for the client that waits for the gateway.
//
//   LogMark mark(paths.gateway_log);                       // before a generation starts
//   std::string why = mark.LastWords("krux-auditd");       // "the log is damaged in …"; "" if
//   silent
#pragma once

#include <sys/types.h>

#include <string>

namespace krux::gateway {

class LogMark {
 public:
  LogMark() = default;
  // The end of the log as it is now; a log that cannot be read says nothing.
  explicit LogMark(std::string path);
  // The last line that `program` wrote behind the mark, without its name.
  std::string LastWords(const std::string& program) const;

 private:
  std::string path_;
  off_t from_ = 0;
};

}  // namespace krux::gateway
