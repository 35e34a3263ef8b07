// StartDaemon: one daemon from an opened binary, with exactly the descriptors, ids and cgroup it is
// meant to have and nothing else of the supervisor.
//
//   UniqueFd program = KRUX_TRY(OpenProgram(libexec_dir, "kruxd"));
//   Daemon kruxd = KRUX_TRY(StartDaemon({.name = "kruxd", .program = program.get(),
//                                        .arguments = {"--lifeline-fd", FdWord(fd)}, .inherit =
//                                        {fd}}));
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/pidfd.h"
#include "base/unique_fd.h"

namespace krux::gateway {

struct DaemonSpec {
  std::string name;  // argv[0]
  int program = -1;  // opened O_RDONLY: the daemon's uid may not reach the path
  std::vector<std::string> arguments;
  std::vector<int> inherit;  // kept under their numbers; all others are closed
  uid_t id = 0;              // uid and gid; no supplementary groups when it differs from ours
  int log = -1;              // becomes stdout and stderr
  int cgroup = -1;           // CLONE_INTO_CGROUP; -1: the supervisor's own
  // What it gets when the supervisor is gone, prctl(2) PR_SET_PDEATHSIG: even a daemon that is
  // stopped or hangs must not outlive it and hold what the next gateway needs.
  int orphan_signal = 9;  // SIGKILL
};

struct Daemon {
  std::string name;
  pid_t pid = 0;
  Pidfd pidfd;
};

// Answers when the program runs: a failed setuid or exec is an error here, with its stage.
Result<Daemon> StartDaemon(const DaemonSpec& spec);

Result<UniqueFd> OpenProgram(const std::string& dir, const std::string& name);
// `named`, else $KRUX_LIBEXEC_DIR, else the folder of the running program.
Result<std::string> FindLibexecDir(const std::string& named);

}  // namespace krux::gateway
