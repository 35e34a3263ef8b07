#include "runtime/worker/secret_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <iterator>
#include <map>
#include <set>
#include <vector>

#include "base/channel.h"
#include "policy/secret.h"
#include "runtime/request.h"
#include "runtime/worker/answer.h"

namespace krux::runtime {
namespace {

using sandbox::WatchCommand;
using sandbox::WatchFound;

// What can bring a name. IN_DELETE is not among them: a mask that fell off with the file it lay
// over hides nothing any more, and the next call's receipt counts the masks.
constexpr uint32_t kComing = IN_CREATE | IN_MOVED_TO;
constexpr int kMaxLinks = 40;

// File systems on which nothing happens that this kernel does not do: on a network's another
// machine writes, and inotify(7) says nothing.
constexpr uint32_t kLocal[] = {EXT4_SUPER_MAGIC,
                               0x58465342 /* xfs */,
                               BTRFS_SUPER_MAGIC,
                               F2FS_SUPER_MAGIC,
                               TMPFS_MAGIC,
                               RAMFS_MAGIC,
                               OVERLAYFS_SUPER_MAGIC,
                               0xCA451A4E /* bcachefs */,
                               0x2FC12FC1 /* zfs */,
                               MSDOS_SUPER_MAGIC,
                               0x2011BAB0 /* exfat */,
                               0x7366746E /* ntfs3 */,
                               ISOFS_SUPER_MAGIC,
                               SQUASHFS_MAGIC,
                               EROFS_SUPER_MAGIC_V1,
                               0x52654973 /* reiserfs */,
                               0x3153464A /* jfs */,
                               0x3434 /* nilfs */};

std::string Quote(const std::string& text) { return "`" + SafeText(text) + "`"; }

std::string Joined(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

std::unexpected<Error> Unwatched(const std::string& why) {
  return Fail(ExitCode::kSandbox, "watch",
              why +
                  "; programs run only where secrets can be watched: use a smaller work "
                  "directory, or a policy without `paths.secret`");
}

class SecretWatch {
 public:
  SecretWatch(const sandbox::WatchContext& context, std::vector<policy::Pattern> secrets)
      : work_(context.work),
        own_uid_(context.own_uid),
        secrets_(std::move(secrets)),
        channel_(UniqueFd(sandbox::kWatchChannelFd)) {}

  int Run() {
    for (;;) {
      pollfd fds[] = {{channel_.fd(), POLLIN, 0}, {sandbox::kWatchInotifyFd, POLLIN, 0}};
      if (poll(fds, armed_ ? 2 : 1, -1) < 0 && errno != EINTR) return 1;
      if (armed_ && fds[1].revents != 0 && !LookAndSay()) return 0;
      if (fds[0].revents != 0 && !Obey()) return 0;
    }
  }

 private:
  bool Say(const sandbox::WatchReport& report) const {
    // The other end reads: what does not fit now fits soon.
    for (;;) {
      const Result<void> sent = channel_.Send(sandbox::EncodeReport(report));
      if (sent) return true;
      if (sent.error().sys_errno != EAGAIN) return false;
      pollfd fd = {channel_.fd(), POLLOUT, 0};
      poll(&fd, 1, -1);
    }
  }

  // One command; false where this process is to end.
  bool Obey() {
    const Result<Packet> packet = channel_.Receive(0);
    if (!packet) return packet.error().sys_errno == EAGAIN;
    if (packet->eof || packet->bytes.size() != sizeof(WatchCommand)) return false;
    WatchCommand command;
    std::memcpy(&command, packet->bytes.data(), sizeof command);
    switch (command.kind) {
      case WatchCommand::kFind:
        mask_ = command;
        return FindAndSay();
      case WatchCommand::kArm:
        armed_ = true;
        return LookAndSay();
      case WatchCommand::kPing:
        return LookAndSay() && Say(sandbox::WatchPong{command.number});
    }
    return false;
  }

  bool FindAndSay() {
    const Result<void> looked = paths_.empty() ? WalkAll() : TakeEvents();
    if (!looked) {
      Say(sandbox::WatchRefused{looked.error().code, looked.error().message});
      return false;
    }
    if (named_ > sandbox::kMaxMasks) {
      Say(sandbox::WatchRefused{ExitCode::kDenied,
                                std::to_string(named_) + " paths in " + Quote(work_) +
                                    " are secret (" + first_rule_ + " and others), and at most " +
                                    std::to_string(sandbox::kMaxMasks) +
                                    " can be hidden from programs; put them into one directory "
                                    "that is secret as a whole, "
                                    "or narrow `paths.secret`"});
      return false;
    }
    for (const Unmasked& one : std::exchange(unmasked_, {})) {
      if (!Say(one.found)) return false;
    }
    return Say(sandbox::WatchEnd{});
  }

  // Armed: false once something was lost and said.
  bool LookAndSay() {
    const Result<void> looked = TakeEvents();
    if (looked && unmasked_.empty()) return true;
    std::string why = looked ? "" : looked.error().message;
    if (looked) {
      const Unmasked& one = unmasked_.front();
      why = Quote(work_ + "/" + std::string(one.found.path.begin(), one.found.path.end())) +
            " is secret (" + one.rule +
            ") and was made or replaced while programs could see it; call again";
    }
    Say(sandbox::WatchLost{Clipped(why)});
    return false;
  }

  static std::string Clipped(const std::string& text) {
    if (text.size() <= 1000) return text;
    return SafeText(text.substr(0, 500)) + "…" + SafeText(text.substr(text.size() - 450));
  }

  Result<void> WalkAll() {
    if (const policy::Membership all = policy::CheckSecret(secrets_, work_); all.inside)
      return Fail(ExitCode::kDenied, "watch",
                  Quote(work_) + " is secret as a whole (" + all.rule + "); no program runs in it");
    UniqueFd top(open(work_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!top.valid()) return SysError(ExitCode::kSandbox, "open " + Quote(work_), errno);
    entries_ = 0;
    return Walk(std::move(top), "", 0);
  }

  // `path`: of the directory, in WORK.
  Result<void> Walk(UniqueFd dir, const std::string& path, int depth) {
    if (depth > kMaxDepth) return Unwatched(Quote(path) + " is nested deeper than 256 directories");
    KRUX_TRY(CheckFileSystem(dir.get()));
    KRUX_TRY(Watch(dir.get(), path, 0));
    const std::string lowered = policy::Lowered(work_ + "/" + path);
    std::vector<std::string_view> above = policy::PathComponents(lowered);
    std::vector<std::string> below;
    for (const Name& name : KRUX_TRY(Names(dir.get(), path))) {
      const std::string low = policy::Lowered(name.name);
      above.push_back(low);
      const policy::Pattern* secret = policy::SecretTop(secrets_, above);
      above.pop_back();
      if (secret != nullptr)
        KRUX_TRY(Consider(dir.get(), path, name.name, *secret));
      else if (name.type == DT_DIR ||
               (name.type == DT_UNKNOWN && IsDirectory(dir.get(), name.name)))
        below.push_back(name.name);
    }
    for (const std::string& name : below) KRUX_TRY(Enter(dir.get(), path, name, depth + 1));
    return {};
  }

  struct Name {
    std::string name;
    unsigned char type;
  };

  Result<std::vector<Name>> Names(int dir, const std::string& path) {
    static char buffer[32 * 1024] __attribute__((aligned(8)));
    std::vector<Name> names;
    for (;;) {
      const long size = syscall(SYS_getdents64, dir, buffer, sizeof buffer);
      if (size < 0) return SysError(ExitCode::kSandbox, "list " + Quote(path), errno);
      if (size == 0) return names;
      for (long at = 0; at < size;) {
        const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
        at += entry->d_reclen;
        const std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        if (++entries_ > kMaxSeenEntries)
          return Unwatched("the work directory holds more than 2,000,000 files");
        names.push_back({std::string(name), entry->d_type});
      }
    }
  }

  static bool IsDirectory(int dir, const std::string& name) {
    struct stat st;
    return fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
  }

  // Walks a directory that `dir` holds, if it is still one.
  Result<void> Enter(int dir, const std::string& path, const std::string& name, int depth,
                     bool fresh = false) {
    UniqueFd next(openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (next.valid()) return Walk(std::move(next), Joined(path, name), depth);
    // Gone, or something else by now: an event says so.
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return {};
    const int error = errno;
    struct stat st;
    if (fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return {};
    if (error != EACCES)
      return SysError(ExitCode::kSandbox, "open " + Quote(Joined(path, name)), error);
    // Whose own it is can change the mode, and where a program may enter it can try names. One that
    // was just made held nothing; programs make such directories, and end with them.
    const bool own = st.st_uid == own_uid_;
    const bool enters = (st.st_mode & (own ? S_IXUSR : S_IXGRP | S_IXOTH)) != 0;
    if (armed_ ? enters && !fresh : own || enters) {
      return Fail(ExitCode::kDenied, "watch",
                  Quote(work_ + "/" + Joined(path, name)) +
                      " cannot be searched for secrets, and a program could enter it; make it "
                      "readable, or use a policy without `paths.secret`");
    }
    // When its mode changes, the directory that holds it says so.
    return Watch(dir, path, IN_ATTRIB);
  }

  Result<void> Watch(int dir, const std::string& path, uint32_t more) {
    if (fchdir(dir) != 0) return SysError(ExitCode::kSandbox, "enter " + Quote(path), errno);
    const int watch = inotify_add_watch(
        sandbox::kWatchInotifyFd, ".", kComing | more | IN_ONLYDIR | (more != 0 ? IN_MASK_ADD : 0));
    if (watch < 0 && errno == ENOSPC) {
      return Unwatched("this user's inotify watches are used up after " +
                       std::to_string(paths_.size()) +
                       " directories (sysctl fs.inotify.max_user_watches)");
    }
    if (watch < 0) return SysError(ExitCode::kSandbox, "watch " + Quote(path), errno);
    paths_[watch] = path;
    if (paths_.size() > kMaxWatchedDirectories)
      return Unwatched("the work directory holds more than 65,536 directories");
    return {};
  }

  Result<void> CheckFileSystem(int dir) {
    struct stat st;
    if (fstat(dir, &st) != 0) return SysError(ExitCode::kSandbox, "ask about a directory", errno);
    if (!devices_.insert(st.st_dev).second) return {};
    struct statfs fs;
    if (fstatfs(dir, &fs) != 0) return SysError(ExitCode::kSandbox, "ask a file system", errno);
    const auto type = static_cast<uint32_t>(fs.f_type);
    if (std::find(std::begin(kLocal), std::end(kLocal), type) != std::end(kLocal)) return {};
    return Unwatched("other machines may write to the file system of the work directory");
  }

  struct Unmasked {
    WatchFound found;
    std::string rule;
  };

  bool IsMask(const struct stat& st) const {
    return st.st_dev == mask_.mask_device &&
           (st.st_ino == mask_.mask_file || st.st_ino == mask_.mask_directory);
  }

  // `name` in `dir` is secret.
  Result<void> Consider(int dir, const std::string& path, const std::string& name,
                        const policy::Pattern& secret) {
    struct stat st;
    if (fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 || IsMask(st)) return {};
    if (S_ISLNK(st.st_mode)) return ConsiderTarget(dir, Joined(path, name), secret);
    return Add(Joined(path, name), st, secret);
  }

  Result<void> Add(const std::string& path, const struct stat& st, const policy::Pattern& secret) {
    if (path.size() >= PATH_MAX / 2)
      return Unwatched("the path of a secret is longer than 2048 bytes");
    if (++named_ == 1) first_rule_ = secret.rule;
    if (unmasked_.size() > sandbox::kMaxMasks) return {};
    unmasked_.push_back(
        {{{path.begin(), path.end()}, st.st_dev, st.st_ino, S_ISDIR(st.st_mode)}, secret.rule});
    return {};
  }

  // Where a link with the name of a secret leads, as a program would follow it; the kernel walks,
  // getcwd(2) says where to. Out of WORK there is nothing to hide.
  Result<void> ConsiderTarget(int dir, const std::string& link, const policy::Pattern& secret) {
    std::string at = link.substr(link.rfind('/') + 1);
    if (fchdir(dir) != 0) return {};
    for (int links = 0; links < kMaxLinks; ++links) {
      const size_t slash = at.rfind('/');
      std::string name = at.substr(slash + 1);  // npos + 1 is 0
      if (slash != std::string::npos && chdir(at.substr(0, slash + 1).c_str()) != 0) return {};
      if (name.empty() || name == "." || name == "..") {
        if (chdir(name.empty() ? "." : name.c_str()) != 0) return {};
        name.clear();
      }
      char here[PATH_MAX];
      if (getcwd(here, sizeof here) == nullptr || here[0] != '/') return {};
      struct stat st;
      if (fstatat(AT_FDCWD, name.empty() ? "." : name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
        return {};
      if (S_ISLNK(st.st_mode)) {
        char target[PATH_MAX];
        const ssize_t size = readlinkat(AT_FDCWD, name.c_str(), target, sizeof target);
        if (size <= 0) return {};
        at.assign(target, static_cast<size_t>(size));
        continue;
      }
      if (IsMask(st)) return {};
      std::string path = here;
      if (!name.empty()) path += (path == "/" ? "" : "/") + name;
      if (!path.starts_with(work_ + "/")) return {};
      path.erase(0, work_.size() + 1);
      targets_.insert(path);
      return Add(path, st, secret);
    }
    return {};
  }

  Result<void> TakeEvents() {
    alignas(inotify_event) char buffer[16 * 1024];
    bool overflow = false;
    for (;;) {
      const ssize_t size = read(sandbox::kWatchInotifyFd, buffer, sizeof buffer);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) break;
      for (ssize_t at = 0; at < size;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
        if ((event->mask & IN_Q_OVERFLOW) != 0)
          overflow = true;
        else if ((event->mask & IN_IGNORED) != 0)
          paths_.erase(event->wd);
        else if (event->len > 0)
          KRUX_TRY(TakeEvent(event->wd, event->name, event->mask));
      }
    }
    // What was not said must be looked for.
    return overflow ? WalkAll() : Result<void>();
  }

  Result<void> TakeEvent(int watch, const std::string& name, uint32_t what) {
    const auto known = paths_.find(watch);
    if (known == paths_.end()) return {};
    const std::string path = known->second;
    const std::string full = Joined(path, name);
    const std::string lowered = policy::Lowered(work_ + "/" + full);
    const std::vector<std::string_view> components = policy::PathComponents(lowered);
    const policy::Pattern* secret = policy::SecretTop(secrets_, components);
    const bool target = targets_.contains(full);
    if (secret == nullptr && !target && (what & IN_ISDIR) == 0) return {};
    const UniqueFd dir = OpenDirectory(path);
    // Moved or removed since: where it came to lie, its names are read again.
    if (!dir.valid()) return {};
    if (secret != nullptr) return Consider(dir.get(), path, name, *secret);
    if (target) return Consider(dir.get(), path, name, kTarget);
    const auto depth = std::count(full.begin(), full.end(), '/') + 1;
    return Enter(dir.get(), path, name, static_cast<int>(depth), (what & IN_MOVED_TO) == 0);
  }

  UniqueFd OpenDirectory(const std::string& path) const {
    UniqueFd at(open(work_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (size_t begin = 0; at.valid() && begin < path.size();) {
      const size_t end = std::min(path.find('/', begin), path.size());
      at.reset(openat(at.get(), path.substr(begin, end - begin).c_str(),
                      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      begin = end + 1;
    }
    return at;
  }

  inline static const policy::Pattern kTarget{
      {}, false, "", "a link with a secret's name leads here"};

  const std::string work_;
  const uint32_t own_uid_;
  const std::vector<policy::Pattern> secrets_;
  const Channel channel_;
  WatchCommand mask_;
  bool armed_ = false;
  std::map<int, std::string> paths_;  // by watch descriptor, in WORK
  std::set<dev_t> devices_;           // whose file system was looked at
  std::set<std::string> targets_;     // of links with a secret's name
  std::vector<Unmasked> unmasked_;
  uint64_t named_ = 0;  // secrets that ever were named
  std::string first_rule_;
  uint64_t entries_ = 0;
};

}  // namespace

int WatchSecrets(const sandbox::WatchContext& context) {
  Result<std::vector<policy::Pattern>> secrets = DecodeSecrets(context.secrets);
  if (!secrets) return ToInt(ExitCode::kInternal);
  return SecretWatch(context, std::move(*secrets)).Run();
}

}  // namespace krux::runtime
