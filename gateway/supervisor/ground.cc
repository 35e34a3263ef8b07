#include "gateway/supervisor/ground.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "base/log.h"
#include "gateway/supervisor/delegated_cgroup.h"

namespace krux::gateway {
namespace {

constexpr int kBacklog = 4096;
constexpr off_t kMaxLogBytes = 8 << 20;
constexpr size_t kMaxKeyBytes = 4096;

Result<UniqueFd> LockFile(int dir, const std::string& folder) {
  UniqueFd fd(openat(dir, "gateway.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return SysError(ExitCode::kConfig, "open `" + folder + "/gateway.lock`", errno);
  // A gateway that is ending holds the lock until its sockets are gone.
  for (int attempt = 0; flock(fd.get(), LOCK_EX | LOCK_NB) != 0; ++attempt) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return SysError(ExitCode::kConfig, "lock `" + folder + "`", errno);
    if (attempt >= 200)
      return Fail(ExitCode::kBusy, "lock",
                  "another gateway runs on `" + folder + "`; run `krux gateway status`");
    usleep(50'000);
  }
  return fd;
}

// Files of an audit folder whose owner was given another id since.
void GiveTree(int dir, uid_t owner, int depth) {
  fchown(dir, owner, owner);
  const int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::unique_ptr<DIR, int (*)(DIR*)> entries(fd >= 0 ? fdopendir(fd) : nullptr, closedir);
  if (entries == nullptr) return;
  while (const dirent* entry = readdir(entries.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    fchownat(dir, name.c_str(), owner, owner, AT_SYMLINK_NOFOLLOW);
    UniqueFd sub(depth > 0 && entry->d_type == DT_DIR
                     ? openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                     : -1);
    if (sub.valid()) GiveTree(sub.get(), owner, depth - 1);
  }
}

// A folder below the state folder that belongs to krux-auditd alone.
Result<UniqueFd> FolderOf(int state, const char* name, uid_t owner) {
  if (mkdirat(state, name, 0700) != 0 && errno != EEXIST) {
    return SysError(ExitCode::kConfig, std::string("make the folder `") + name + "`", errno);
  }
  UniqueFd fd(openat(state, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat st{};
  if (!fd.valid() || fstat(fd.get(), &st) != 0) {
    return SysError(ExitCode::kConfig, std::string("open the folder `") + name + "`", errno);
  }
  if (st.st_uid != owner) {
    if (geteuid() != 0) {
      return Fail(
          ExitCode::kConfig, "paths",
          std::string("the folder `") + name + "` belongs to uid " + std::to_string(st.st_uid));
    }
    GiveTree(fd.get(), owner, 2);
  }
  return fd;
}

Result<UniqueFd> OpenLog(int state, bool to_stderr) {
  UniqueFd fd;
  if (to_stderr) {
    fd.reset(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  } else {
    struct stat st{};
    if (fstatat(state, "gateway.log", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > kMaxLogBytes) {
      renameat(state, "gateway.log", state, "gateway.log.1");
    }
    fd.reset(
        openat(state, "gateway.log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  }
  if (!fd.valid()) return SysError(ExitCode::kConfig, "open the gateway's log", errno);
  if (!to_stderr) dup2(fd.get(), STDERR_FILENO);
  return fd;
}

Result<std::string> ReadKey(int dir, const char* name) {
  UniqueFd fd(openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return SysError(ExitCode::kAudit, std::string("read `") + name + "`", errno);
  std::string text(kMaxKeyBytes, '\0');
  const ssize_t got = read(fd.get(), text.data(), text.size());
  if (got <= 0) return Fail(ExitCode::kAudit, "key", std::string("`") + name + "` is empty");
  text.resize(static_cast<size_t>(got));
  return text;
}

}  // namespace

Result<Locks> TakeLocks(const GatewayPaths& paths) {
  KRUX_TRY(CheckRuntimePaths(paths));
  const UniqueFd state = KRUX_TRY(MakePrivateDir(paths.state_dir));
  const UniqueFd runtime = KRUX_TRY(MakePrivateDir(paths.runtime_dir));
  Locks locks;
  locks.runtime = KRUX_TRY(LockFile(runtime.get(), paths.runtime_dir));
  locks.state = KRUX_TRY(LockFile(state.get(), paths.state_dir));
  return locks;
}

Result<Ground> PrepareGround(const GatewayOptions& options) {
  const GatewayPaths& paths = options.paths;
  const UniqueFd state = KRUX_TRY(MakePrivateDir(paths.state_dir));
  Ground ground;
  ground.options = &options;
  ground.root = geteuid() == 0;
  ground.log = KRUX_TRY(OpenLog(state.get(), options.log_to_stderr));
  ground.ids = KRUX_TRY(ChooseIds(state.get(), options.host_uid));
  const std::string libexec = KRUX_TRY(FindLibexecDir(options.libexec_dir));
  for (const Generation::Role role :
       {Generation::kAuditd, Generation::kMountd, Generation::kSpawnd, Generation::kKruxd}) {
    ground.programs[role] = KRUX_TRY(OpenProgram(libexec, Generation::kNames[role]));
  }
  ground.audit_dir = KRUX_TRY(FolderOf(state.get(), "audit", ground.ids.audit));
  if (ground.root)
    ground.public_key_dir = KRUX_TRY(FolderOf(state.get(), "audit-pub", ground.ids.audit));
  ground.gateway_listener = KRUX_TRY(ListenSeqpacket(paths.gateway_socket, 0600, kBacklog));
  ground.admin_listener = KRUX_TRY(ListenSeqpacket(paths.admin_socket, 0600, kBacklog));
  for (const int fd : {ground.gateway_listener.get(), ground.admin_listener.get()}) {
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
      return SysError(ExitCode::kInternal, "O_NONBLOCK", errno);
  }
  if (ground.root) {
    auto cgroup = DelegatedCgroup::Make(ground.ids.spawn);
    if (cgroup) {
      ground.cgroup = std::move(*cgroup);
    } else {
      Log(LogLevel::kWarning, "krux-supervisor", "no cgroup for calls: " + cgroup.error().message);
    }
  }
  return ground;
}

Result<void> PublishKey(const Ground& ground) {
  if (!ground.root) return {};
  const std::string key = KRUX_TRY(ReadKey(ground.public_key_dir.get(), "audit.pub"));
  const UniqueFd state = KRUX_TRY(MakePrivateDir(ground.options->paths.state_dir));
  if (const auto published = ReadKey(state.get(), "audit.pub"); published) {
    if (*published == key) return {};
    return Fail(ExitCode::kAudit, "key",
                "`" + ground.options->paths.audit_public_key +
                    "` is not the key that krux-auditd signs with; run `krux audit verify`");
  }
  UniqueFd fd(openat(state.get(), "audit.pub.new",
                     O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd.valid() || fchmod(fd.get(), 0644) != 0 ||
      write(fd.get(), key.data(), key.size()) != static_cast<ssize_t>(key.size()) ||
      fsync(fd.get()) != 0 ||
      renameat(state.get(), "audit.pub.new", state.get(), "audit.pub") != 0 ||
      fsync(state.get()) != 0) {
    return SysError(ExitCode::kAudit, "publish the log's key", errno);
  }
  return {};
}

}  // namespace krux::gateway
