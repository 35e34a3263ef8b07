#include "runtime/worker/resolver.h"

#include <fcntl.h>

#include <cerrno>
#include <climits>
#include <vector>

namespace krux::runtime {
namespace {

// INVARIANT: `name` is one component, never `..`, so the kernel walks no further than into `dir`;
// and what is found there is never followed.
UniqueFd OpenName(int dir, const std::string& name, int flags) {
  int fd;
  do {
    fd = openat(dir, name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  return UniqueFd(fd);
}

std::vector<std::string> Components(std::string_view path) {
  std::vector<std::string> names;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view name = path.substr(at, end - at);
    if (!name.empty() && name != ".") names.emplace_back(name);
    at = end + 1;
  }
  return names;
}

std::string Quote(std::string_view text) { return "`" + std::string(text) + "`"; }

std::unexpected<Error> OpenError(int error, const std::string& path) {
  std::string message = Quote(path);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return std::unexpected(
          Error{ExitCode::kNotFound, error, "resolve", message + " does not exist"});
    case ENAMETOOLONG:
      return std::unexpected(Error{ExitCode::kBadData, error, "resolve", message + " is too long"});
    case EACCES:
    case EPERM:
      return std::unexpected(Error{ExitCode::kFailed, error, "resolve",
                                   message + " may not be opened: permission denied"});
    case ELOOP:
    case EXDEV:
      // The name was no link when it was looked at and is one now.
      return std::unexpected(Error{ExitCode::kFailed, error, "resolve",
                                   message + " changed while it was opened; try again"});
    default:
      return SysError(ExitCode::kFailed, "open " + Quote(path), error);
  }
}

class Walk {
 public:
  Walk(const std::string& root, const std::string& path, bool last_as_it_is)
      : root_path_(root), path_(path), last_as_it_is_(last_as_it_is) {}

  Result<Found> Run() {
    root_ = KRUX_TRY(OpenRoot());
    Push(path_.substr(root_path_.size()));
    KRUX_TRY(GoTo());
    while (!pending_.empty()) {
      const std::string name = std::move(pending_.back());
      pending_.pop_back();
      if (name == "..") {
        if (names_.empty()) return Leaves();
        names_.pop_back();
        KRUX_TRY(GoTo());
        continue;
      }
      const bool last = last_as_it_is_ && pending_.empty();
      UniqueFd next = OpenName(at_.get(), name, O_PATH);
      if (!next.valid() && (errno != ENOENT || !last)) return OpenError(errno, Shown(name));
      struct stat stat = {};
      if (next.valid() && fstat(next.get(), &stat) != 0) return OpenError(errno, Shown(name));
      if (S_ISLNK(stat.st_mode) && !last) {
        KRUX_TRY(Follow(next.get(), name));
        continue;
      }
      names_.push_back(name);
      if (Joined().size() + root_path_.size() >= PATH_MAX) return OpenError(ENAMETOOLONG, path_);
      if (pending_.empty()) return Found{std::move(next), std::move(at_), name, Absolute(), stat};
      if (!S_ISDIR(stat.st_mode)) return OpenError(ENOTDIR, path_);
      at_ = std::move(next);
    }
    return HereItself();
  }

 private:
  // Down from `dir`, through directories only. A name that is a link or no directory is an error
  // with sys_errno ENOTDIR.
  Result<UniqueFd> Descend(UniqueFd dir, const std::vector<std::string>& names) const {
    for (const std::string& name : names) {
      UniqueFd next = OpenName(dir.get(), name, O_PATH | O_DIRECTORY);
      if (!next.valid()) return OpenError(errno, path_);
      dir = std::move(next);
    }
    return dir;
  }

  // The grant's own path has no link: mountd resolved it when the template was built.
  Result<UniqueFd> OpenRoot() const {
    UniqueFd top(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!top.valid()) return OpenError(errno, path_);
    return Descend(std::move(top), Components(root_path_));
  }

  // Opens the directory that names_ leads to. Its names were found without a link; one that has
  // become a link since is refused.
  Result<void> GoTo() {
    UniqueFd root = OpenName(root_.get(), ".", O_PATH | O_DIRECTORY);
    if (!root.valid()) return OpenError(errno, path_);
    Result<UniqueFd> at = Descend(std::move(root), names_);
    if (!at && at.error().sys_errno == ENOTDIR) return OpenError(ELOOP, path_);
    at_ = KRUX_TRY(std::move(at));
    return {};
  }

  // The path ended in `..`, or is the root of the grant.
  Result<Found> HereItself() {
    Found found{OpenName(at_.get(), ".", O_PATH | O_DIRECTORY), {}, ".", Absolute(), {}};
    if (!found.fd.valid()) return OpenError(errno, path_);
    if (fstat(found.fd.get(), &found.stat) != 0) return OpenError(errno, path_);
    found.parent = std::move(at_);
    return found;
  }

  Result<void> Follow(int link, const std::string& name) {
    if (++links_ > kMaxLinks) {
      return Fail(ExitCode::kBadData, "resolve", Quote(path_) + " goes through more than 40 links");
    }
    char target[PATH_MAX];
    // readlinkat(2) with an empty name reads the link that an O_PATH descriptor stands for.
    const ssize_t size = readlinkat(link, "", target, sizeof target);
    if (size < 0) return OpenError(errno, Shown(name));
    if (size == sizeof target) return OpenError(ENAMETOOLONG, Shown(name));
    if (size == 0) return OpenError(ENOENT, Shown(name));
    if (target[0] == '/') return Leaves();
    Push(std::string_view(target, static_cast<size_t>(size)));
    return {};
  }

  // Puts the components of `path` in front of what is still to be walked.
  void Push(std::string_view path) {
    const std::vector<std::string> names = Components(path);
    pending_.insert(pending_.end(), names.rbegin(), names.rend());
  }

  std::unexpected<Error> Leaves() const {
    return Fail(ExitCode::kDenied, "resolve",
                Quote(path_) + " leads out of " + Quote(root_path_) +
                    " through a link; only relative links that stay inside it are followed");
  }

  std::string Joined() const {
    std::string joined;
    for (const std::string& name : names_) joined += "/" + name;
    return joined;
  }
  std::string Absolute() const {
    const std::string joined = Joined();
    if (root_path_ == "/") return joined.empty() ? "/" : joined;
    return root_path_ + joined;
  }
  // Where the walk stands, for messages: the path that was asked for as long as no link was met.
  std::string Shown(const std::string& name) const {
    if (links_ == 0) return path_;
    return path_ + "` (at `" + (Absolute() == "/" ? "" : Absolute()) + "/" + name;
  }

  const std::string& root_path_;
  const std::string& path_;
  bool last_as_it_is_;  // the last name may be absent, and is not followed where it is a link
  UniqueFd root_;
  UniqueFd at_;                       // INVARIANT: the directory root_path_ + Joined()
  std::vector<std::string> names_;    // walked, without links
  std::vector<std::string> pending_;  // still to walk, the next one last
  int links_ = 0;
};

}  // namespace

Result<Found> Resolve(const std::string& root, const std::string& path) {
  return Walk(root, path, false).Run();
}

Result<Found> ResolvePlace(const std::string& root, const std::string& path) {
  return Walk(root, path, true).Run();
}

Result<UniqueFd> Reopen(const Found& found, int flags) {
  UniqueFd fd = OpenName(found.parent.get(), found.name, flags);
  if (!fd.valid()) return OpenError(errno, found.path);
  struct stat now;
  if (fstat(fd.get(), &now) != 0) return OpenError(errno, found.path);
  if (now.st_dev != found.stat.st_dev || now.st_ino != found.stat.st_ino ||
      (now.st_mode & S_IFMT) != (found.stat.st_mode & S_IFMT)) {
    return OpenError(EXDEV, found.path);
  }
  return fd;
}

const char* KindOf(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "a regular file";
    case S_IFDIR:
      return "a directory";
    case S_IFIFO:
      return "a pipe";
    case S_IFSOCK:
      return "a socket";
    case S_IFCHR:
      return "a character device";
    case S_IFBLK:
      return "a block device";
    case S_IFLNK:
      return "a link";
    default:
      return "no regular file";
  }
}

}  // namespace krux::runtime
