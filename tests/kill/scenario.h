// Scenario: one call that is held still at one point, one process that is killed there, and what
// must hold afterwards.
//
//   const Seen seen = Play({.victim = "auditd", .point = "collect", .owner = {}, .programs = dir});
//   EXPECT_TRUE(seen.wrong.empty());
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace krux::kill_tests {

struct Scenario {
  std::string victim;          // a part of process_tree.h
  std::string point;           // of gateway/stop_point.h
  std::optional<uid_t> owner;  // whose gateway it is; none: the caller's
  std::string programs;        // krux and its daemons, with kruxd-stops as kruxd
};

struct Seen {
  int exit = -1;           // of the client
  std::string said;        // its last line
  std::string record_end;  // how the call ends in the log: "–", "ok", "recovered", …
  bool effect = false;     // the marker was made
  std::vector<std::string> wrong;
};

// krux, its daemons and kruxd-stops (as kruxd) copied into a new folder that every user can read.
std::string InstallPrograms();

Seen Play(const Scenario& scenario);
// The log's writer is stopped, a call is made, and the writer is killed: without the barrier
// between intent and effect (point "without barrier") the effect is there and its intent is not.
Seen PlayWithAStoppedLog(const Scenario& scenario);

}  // namespace krux::kill_tests
