#include "bench/bubblewrap.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/unique_fd.h"

extern char** environ;

namespace krux::bench {

Result<std::string> ReadThroughBubblewrap(const std::string& tree, const std::string& path) {
  std::vector<std::string> words = {"bwrap",
                                    "--unshare-all",
                                    "--die-with-parent",
                                    "--new-session",
                                    "--cap-drop",
                                    "ALL",
                                    "--uid",
                                    "1100",
                                    "--gid",
                                    "1100",
                                    "--ro-bind",
                                    "/usr",
                                    "/usr",
                                    "--symlink",
                                    "usr/bin",
                                    "/bin",
                                    "--symlink",
                                    "usr/lib",
                                    "/lib",
                                    "--symlink",
                                    "usr/lib64",
                                    "/lib64",
                                    "--proc",
                                    "/proc",
                                    "--dev",
                                    "/dev",
                                    "--ro-bind",
                                    tree,
                                    tree,
                                    "--",
                                    "/usr/bin/cat",
                                    path};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SysError(ExitCode::kInternal, "pipe2", errno);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, "bwrap", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    return SysError(ExitCode::kNotFound, "run bwrap", error, "./dev setup bench installs it");
  write_end.reset();

  std::string content;
  char buffer[64 * 1024];
  for (ssize_t got; (got = read(read_end.get(), buffer, sizeof buffer)) > 0;) {
    content.append(buffer, static_cast<size_t>(got));
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (status != 0)
    return Fail(ExitCode::kFailed, "bwrap", "bwrap ended with status " + std::to_string(status));
  return content;
}

}  // namespace krux::bench
