#include "gateway/client/work_dir.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <vector>

namespace krux::gateway {
namespace {

Result<UniqueFd> OpenDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.valid()) return fd;
  const int err = errno;
  const ExitCode code = err == ENOENT ? ExitCode::kNotFound : ExitCode::kConfig;
  return SysError(code, "open the work directory `" + path + "`", err);
}

// The path that the kernel has for an open directory: links resolved, proc(5) /proc/self/fd.
Result<std::string> PathOf(const UniqueFd& fd, const std::string& name) {
  char path[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
  const ssize_t length = readlink(link.c_str(), path, sizeof(path));
  if (length > 0 && static_cast<size_t>(length) < sizeof(path)) return std::string(path, length);
  char* real = realpath(name.c_str(), nullptr);
  if (real == nullptr) return SysError(ExitCode::kConfig, "resolve `" + name + "`", errno);
  std::string resolved(real);
  free(real);  // NOLINT: realpath(3) allocates with malloc
  return resolved;
}

bool OwnedByCaller(const std::string& path) {
  struct stat st{};
  return lstat(path.c_str(), &st) == 0 && st.st_uid == geteuid();
}

// The nearest folder at or above `cwd` that has a `.git`, if both are the caller's; else `cwd`. A
// foreign repository must not decide what the caller hands to an agent.
std::string GitTopLevel(const std::string& cwd) {
  std::string folder = cwd;
  while (true) {
    const std::string git = folder == "/" ? "/.git" : folder + "/.git";
    struct stat st{};
    if (lstat(git.c_str(), &st) == 0) {
      return st.st_uid == geteuid() && OwnedByCaller(folder) ? folder : cwd;
    }
    if (folder == "/") return cwd;
    const size_t slash = folder.rfind('/');
    folder = slash == 0 ? "/" : folder.substr(0, slash);
  }
}

bool SameDirectory(const struct stat& st, const char* path) {
  struct stat other{};
  return path != nullptr && stat(path, &other) == 0 && other.st_dev == st.st_dev &&
         other.st_ino == st.st_ino;
}

// / and the home directory are never WORK by accident.
Result<void> RefuseTooWide(const WorkDir& work) {
  struct stat st{};
  if (fstat(work.fd.get(), &st) != 0)
    return SysError(ExitCode::kConfig, "look at `" + work.path + "`", errno);
  const passwd* entry = getpwuid(geteuid());  // NOLINT(concurrency-mt-unsafe)
  const char* what = nullptr;
  if (SameDirectory(st, "/")) what = "the root directory";
  if (SameDirectory(st, getenv("HOME")))
    what = "the home directory";  // NOLINT(concurrency-mt-unsafe)
  if (entry != nullptr && SameDirectory(st, entry->pw_dir)) what = "the home directory";
  if (what == nullptr) return {};
  return Fail(
      ExitCode::kConfig, "work",
      "`" + work.path + "` is " + what +
          ", which is never handed out unasked; change to a project folder or name it with --work");
}

}  // namespace

Result<WorkDir> ChooseWork(const std::optional<std::string>& named) {
  std::string path;
  if (named.has_value()) {
    if (named->empty()) return Fail(ExitCode::kUsage, "work", "--work is empty; name a directory");
    path = *named;
  } else {
    char cwd[PATH_MAX];
    if (getcwd(cwd, sizeof(cwd)) == nullptr) {
      return SysError(ExitCode::kConfig, "find the current directory", errno);
    }
    path = GitTopLevel(cwd);
  }
  WorkDir work;
  work.fd = KRUX_TRY(OpenDirectory(path));
  work.path = KRUX_TRY(PathOf(work.fd, path));
  if (!named.has_value()) KRUX_TRY(RefuseTooWide(work));
  return work;
}

}  // namespace krux::gateway
