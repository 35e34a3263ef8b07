// ProcessTree: who runs below a supervisor, seen from outside through /proc.
//
//   const pid_t supervisor = ServerOf(gateway.root() + "/run/gateway.sock");
//   for (const Process& p : ProcessTree(supervisor)) …      // the supervisor itself first
//   pid_t victim = FindVictim(supervisor, "krux-auditd");
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace krux::kill_tests {

struct Process {
  pid_t pid = 0;
  pid_t parent = 0;
  uint64_t start = 0;  // clock ticks since boot: with the pid, one process and no other
  std::string name;    // last part of argv[0]
};

// Who called listen(2) on the socket at `path` (SO_PEERCRED); 0 where nobody listens.
pid_t ServerOf(const std::string& path);

// `root` and everything below it that is not a zombie.
std::vector<Process> ProcessTree(pid_t root);

// The same process still runs.
bool Runs(const Process& process);

// Everybody whose program lies below `dir`, whoever the parent is by now: "name (pid)".
std::vector<std::string> RunningFrom(const std::string& dir);

// One process of a gateway by the name of its part: "supervisor", "kruxd", "auditd", "mountd",
// "spawnd" (the one that the supervisor started), "inner" (the one that has the workers) or
// "worker". Pid 0 where there is none.
Process FindPart(pid_t supervisor, const std::string& part);

// Waits until `condition` holds, at most `milliseconds`.
bool Within(int milliseconds, const std::function<bool()>& condition);

}  // namespace krux::kill_tests
