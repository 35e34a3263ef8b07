#include "gateway/client/paths.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace krux::gateway {
namespace {

constexpr size_t kMaxSocketPath = 107;  // sun_path without its NUL, unix(7)

// The value of an environment variable that names a folder; empty when unset or empty.
Result<std::string> FolderFromEnvironment(const char* name) {
  const char* value = getenv(name);  // NOLINT(concurrency-mt-unsafe)
  if (value == nullptr || *value == '\0') return std::string();
  std::string path(value);
  if (path.front() != '/') {
    return Fail(ExitCode::kConfig, "paths",
                std::string(name) + " is `" + path +
                    "`, which is not absolute; set it to an absolute path");
  }
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

Result<std::string> StateDir() {
  std::string path = KRUX_TRY(FolderFromEnvironment("KRUX_STATE_DIR"));
  if (!path.empty()) return path;
  if (geteuid() == 0) return std::string("/var/lib/krux-embedded");
  path = KRUX_TRY(FolderFromEnvironment("XDG_STATE_HOME"));
  if (!path.empty()) return path + "/krux";
  path = KRUX_TRY(FolderFromEnvironment("HOME"));
  if (path.empty()) {
    return Fail(ExitCode::kConfig, "paths",
                "HOME is not set; set KRUX_STATE_DIR to the folder for krux's state");
  }
  return path + "/.local/state/krux";
}

Result<std::string> RuntimeDir(const std::string& state_dir) {
  std::string path = KRUX_TRY(FolderFromEnvironment("KRUX_RUNTIME_DIR"));
  if (!path.empty()) return path;
  if (geteuid() == 0) {
    // A state folder of one's own means a gateway of one's own, not the machine's.
    const std::string own_state = KRUX_TRY(FolderFromEnvironment("KRUX_STATE_DIR"));
    return own_state.empty() ? std::string("/run/krux-embedded") : state_dir + "/run";
  }
  const std::string own_state = KRUX_TRY(FolderFromEnvironment("KRUX_STATE_DIR"));
  path = KRUX_TRY(FolderFromEnvironment("XDG_RUNTIME_DIR"));
  return path.empty() || !own_state.empty() ? state_dir + "/run" : path + "/krux";
}

Result<std::string> ConfigFile() {
  std::string path = KRUX_TRY(FolderFromEnvironment("KRUX_CONFIG"));
  if (!path.empty()) return path;
  if (geteuid() == 0) return std::string("/etc/krux/krux.toml");
  path = KRUX_TRY(FolderFromEnvironment("XDG_CONFIG_HOME"));
  if (!path.empty()) return path + "/krux/krux.toml";
  path = KRUX_TRY(FolderFromEnvironment("HOME"));
  // Without a home there is no file of the caller's, and nothing to read.
  return path.empty() ? std::string("/nonexistent/krux.toml") : path + "/.config/krux/krux.toml";
}

Result<void> CheckPrivate(const struct stat& st, const std::string& path) {
  if (!S_ISDIR(st.st_mode)) {
    return Fail(ExitCode::kConfig, "paths",
                "`" + path + "` is not a folder (a link is none either); remove it");
  }
  if (st.st_uid != geteuid()) {
    return Fail(
        ExitCode::kConfig, "paths",
        "`" + path + "` belongs to uid " + std::to_string(st.st_uid) +
            "; remove it, or set KRUX_RUNTIME_DIR and KRUX_STATE_DIR to folders of your own");
  }
  if ((st.st_mode & 077) != 0) {
    return Fail(ExitCode::kConfig, "paths",
                "`" + path + "` is open to other users; run `chmod 700 " + path + "`");
  }
  return {};
}

Result<void> MakeParents(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    if (mkdir(parent.c_str(), 0755) != 0 && errno != EEXIST) {
      return SysError(ExitCode::kConfig, "make `" + parent + "`", errno);
    }
  }
  return {};
}

}  // namespace

Result<GatewayPaths> FindGatewayPaths() {
  GatewayPaths paths;
  paths.state_dir = KRUX_TRY(StateDir());
  paths.config_file = KRUX_TRY(ConfigFile());
  paths.audit_dir = paths.state_dir + "/audit";
  paths.audit_public_key = paths.state_dir + "/audit.pub";
  paths.gateway_log = paths.state_dir + "/gateway.log";
  const bool own = getenv("KRUX_RUNTIME_DIR") != nullptr ||  // NOLINT(concurrency-mt-unsafe)
                   getenv("KRUX_STATE_DIR") != nullptr;      // NOLINT(concurrency-mt-unsafe)
  struct stat st{};
  if (!own && lstat(kServiceSocket, &st) == 0) {
    paths.service = true;
    paths.owner = 0;
    paths.runtime_dir = "/run/krux";
  } else {
    paths.owner = geteuid();
    paths.runtime_dir = KRUX_TRY(RuntimeDir(paths.state_dir));
  }
  paths.gateway_socket = paths.runtime_dir + "/gateway.sock";
  paths.admin_socket = paths.runtime_dir + "/admin.sock";
  return paths;
}

Result<void> CheckRuntimePaths(const GatewayPaths& paths) {
  for (const std::string& socket : {paths.gateway_socket, paths.admin_socket}) {
    if (socket.size() > kMaxSocketPath) {
      return Fail(ExitCode::kConfig, "paths",
                  "socket path `" + socket +
                      "` is longer than 107 bytes; set KRUX_RUNTIME_DIR to a shorter one");
    }
  }
  if (paths.service) return {};
  struct stat st{};
  if (lstat(paths.runtime_dir.c_str(), &st) != 0) {
    if (errno == ENOENT) return {};
    return SysError(ExitCode::kConfig, "look at `" + paths.runtime_dir + "`", errno);
  }
  return CheckPrivate(st, paths.runtime_dir);
}

Result<UniqueFd> MakePrivateDir(const std::string& path) {
  KRUX_TRY(MakeParents(path));
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return SysError(ExitCode::kConfig, "make `" + path + "`", errno);
  }
  struct stat st{};
  // First the name, for a message that tells a link from a stranger's folder; then what was opened.
  if (lstat(path.c_str(), &st) != 0)
    return SysError(ExitCode::kConfig, "look at `" + path + "`", errno);
  KRUX_TRY(CheckPrivate(st, path));
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return SysError(ExitCode::kConfig, "open `" + path + "`", errno);
  if (fstat(fd.get(), &st) != 0)
    return SysError(ExitCode::kConfig, "look at `" + path + "`", errno);
  KRUX_TRY(CheckPrivate(st, path));
  return fd;
}

}  // namespace krux::gateway
