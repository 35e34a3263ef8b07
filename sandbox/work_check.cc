#include "sandbox/work_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>

#include "base/cbor_value.h"
#include "base/channel.h"
#include "base/cutter.h"
#include "base/path.h"
#include "base/pidfd.h"
#include "sandbox/namespaces.h"

namespace krux::sandbox {
namespace {

constexpr int kDeadlineMs = 2000;

// File systems whose answers come from somebody else, or whose files are the kernel's own controls.
constexpr const char* kRefusedTypes[] = {"fuse",        "proc",     "sysfs",   "cgroup", "devtmpfs",
                                         "devpts",      "debugfs",  "tracefs", "nsfs",   "autofs",
                                         "securityfs",  "configfs", "bpf",     "pstore", "efivarfs",
                                         "binfmt_misc", "mqueue"};

bool Refused(const std::string& type) {
  for (const char* refused : kRefusedTypes) {
    if (type.compare(0, std::strlen(refused), refused) == 0) return true;
  }
  return false;
}

struct MountLine {
  uint64_t id = 0;
  std::string device, root, point, type;
};

// proc(5): "36 35 98:0 /root /point opts optional… - type source super"; octal escapes in paths.
std::string Unescape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

Result<std::vector<MountLine>> ReadMountinfo(int fd) {
  std::string text;
  char buffer[16384];
  if (lseek(fd, 0, SEEK_SET) != 0) return SysError(ExitCode::kSandbox, "mountinfo", errno);
  for (;;) {
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0) return SysError(ExitCode::kSandbox, "mountinfo", errno);
    if (got == 0) break;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > (16u << 20))
      return Fail(ExitCode::kSandbox, "mountinfo", "mount table is larger than 16 MiB");
  }
  std::vector<MountLine> lines;
  Cutter rows(text);
  while (const auto row = rows.Until('\n')) {
    Cutter fields(*row);
    MountLine line;
    const std::string_view id = fields.Word();
    std::from_chars(id.data(), id.data() + id.size(), line.id);
    fields.Word();  // parent
    line.device = fields.Word();
    line.root = fields.Word();
    line.point = Unescape(std::string(fields.Word()));
    fields.SkipPast("-");
    line.type = fields.Word();
    lines.push_back(std::move(line));
  }
  return lines;
}

Result<uint64_t> MountIdOf(int fd) {
  const UniqueFd dir(open("/proc/self/fdinfo", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const std::string text = KRUX_TRY(ReadFileAt(dir.get(), std::to_string(fd).c_str(), 4096));
  const size_t at = text.find("mnt_id:");
  if (at == std::string::npos) return Fail(ExitCode::kSandbox, "fdinfo", "descriptor has no mount");
  return std::strtoull(text.c_str() + at + 7, nullptr, 10);
}

const MountLine* FindMount(const std::vector<MountLine>& mounts, uint64_t id) {
  for (const MountLine& line : mounts) {
    if (line.id == id) return &line;
  }
  return nullptr;
}

bool Below(const std::string& path, const std::string& top) {
  return krux_path_within(top.data(), top.size(), path.data(), path.size());
}

Result<void> CheckType(const MountLine& mount) {
  if (!Refused(mount.type)) return {};
  return Fail(
      ExitCode::kDenied, "work",
      "file system `" + mount.type + "` cannot hold a work directory; choose one on a local disk");
}

// True if `ancestor` is `fd` or one of its parents. `..` is asked of the kernel, never of a string.
Result<bool> IsBelow(UniqueFd fd, const struct stat& ancestor) {
  struct stat at{};
  if (fstat(fd.get(), &at) != 0) return SysError(ExitCode::kSandbox, "fstat", errno);
  for (int depth = 0; depth < 4096; ++depth) {
    if (at.st_dev == ancestor.st_dev && at.st_ino == ancestor.st_ino) return true;
    UniqueFd up(openat(fd.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat above{};
    if (!up.valid() || fstat(up.get(), &above) != 0)
      return SysError(ExitCode::kSandbox, "walk up", errno);
    if (above.st_dev == at.st_dev && above.st_ino == at.st_ino) return false;
    at = above;
    fd = std::move(up);
  }
  return true;  // deeper than any real tree: treat as protected
}

Result<void> CheckProtected(const UniqueFd& work, const std::string& path,
                            const std::vector<std::string>& dirs) {
  struct stat work_stat{};
  if (fstat(work.get(), &work_stat) != 0) return SysError(ExitCode::kSandbox, "fstat", errno);
  for (const std::string& dir : dirs) {
    UniqueFd fd(open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) continue;  // not made yet: nothing there to protect
    struct stat protected_stat{};
    if (fstat(fd.get(), &protected_stat) != 0) return SysError(ExitCode::kSandbox, "fstat", errno);
    const bool inside = KRUX_TRY(IsBelow(std::move(fd), work_stat));
    UniqueFd again(fcntl(work.get(), F_DUPFD_CLOEXEC, 0));
    if (inside || KRUX_TRY(IsBelow(std::move(again), protected_stat))) {
      return Fail(ExitCode::kConfig, "work",
                  "work directory `" + path + "` overlaps krux's own folder `" + dir +
                      "`; choose another with --work");
    }
  }
  return {};
}

// Runs in the child with the deadline: the first questions the file system itself answers.
Result<CheckedWork> Inspect(int work_fd, const MountLine& mount,
                            const std::vector<std::string>& protected_dirs) {
  struct stat given{};
  if (fstat(work_fd, &given) != 0) return SysError(ExitCode::kSandbox, "fstat work", errno);
  if (!S_ISDIR(given.st_mode)) return Fail(ExitCode::kBadData, "work", "work is not a directory");
  char target[4097];
  const std::string link = "/proc/self/fd/" + std::to_string(work_fd);
  const ssize_t size = readlink(link.c_str(), target, sizeof(target) - 1);
  if (size <= 0 || size >= 4096)
    return Fail(ExitCode::kSandbox, "work", "work directory has no path");
  CheckedWork work;
  work.path.assign(target, static_cast<size_t>(size));
  if (!cbor::IsUtf8(work.path)) {
    return Fail(ExitCode::kBadData, "work",
                "the path of the work directory is not UTF-8; choose another with --work");
  }
  work.directory = UniqueFd(open(work.path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat again{};
  if (!work.directory.valid() || fstat(work.directory.get(), &again) != 0 ||
      again.st_dev != given.st_dev || again.st_ino != given.st_ino) {
    return Fail(ExitCode::kDenied, "work",
                "work directory `" + work.path + "` is not where its path says");
  }
  // The same mount as well: compared by what is mounted and where, because a rootless mountd looks
  // from its own copy of the tree, whose mount ids are others.
  const UniqueFd own(open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  const std::vector<MountLine> mounts = KRUX_TRY(ReadMountinfo(own.get()));
  const MountLine* seen = FindMount(mounts, KRUX_TRY(MountIdOf(work.directory.get())));
  if (seen == nullptr || seen->device != mount.device || seen->root != mount.root ||
      seen->point != mount.point) {
    return Fail(ExitCode::kDenied, "work",
                "work directory `" + work.path + "` lies on a mount that krux does not see");
  }
  for (const MountLine& line : mounts) {
    if (Below(line.point, work.path)) KRUX_TRY(CheckType(line));
  }
  KRUX_TRY(CheckProtected(work.directory, work.path, protected_dirs));
  work.device = given.st_dev;
  work.inode = given.st_ino;
  return work;
}

cbor::Bytes EncodeAnswer(const Result<CheckedWork>& work) {
  if (work) {
    return cbor::Encode(
        cbor::Map{{"path", work->path}, {"device", work->device}, {"inode", work->inode}});
  }
  return cbor::Encode(
      cbor::Map{{"code", ToInt(work.error().code)}, {"message", work.error().message}});
}

Result<CheckedWork> DecodeAnswer(Packet packet) {
  const cbor::Value value = KRUX_TRY(cbor::Decode(packet.bytes));
  cbor::MapReader r(value, "work answer");
  if (r.Has("message")) {
    const auto code = static_cast<ExitCode>(r.Uint("code", 255));
    return Fail(code, "work", r.Text("message"));
  }
  CheckedWork work;
  work.path = r.Text("path");
  work.device = r.Uint("device");
  work.inode = r.Uint("inode");
  KRUX_TRY(r.Finish());
  if (packet.fds.size() != 1)
    return Fail(ExitCode::kInternal, "work", "checked directory is missing");
  work.directory = std::move(packet.fds[0]);
  return work;
}

}  // namespace

Result<CheckedWork> CheckWork(int work_fd, int mountinfo_fd,
                              const std::vector<std::string>& protected_dirs) {
  const int flags = fcntl(work_fd, F_GETFL);
  if (flags < 0 || (flags & O_PATH) != 0 || (flags & O_ACCMODE) != O_RDONLY) {
    return Fail(ExitCode::kBadData, "work",
                "work directory must be opened for reading by the client");
  }
  const std::vector<MountLine> mounts = KRUX_TRY(ReadMountinfo(mountinfo_fd));
  const MountLine* mount = FindMount(mounts, KRUX_TRY(MountIdOf(work_fd)));
  if (mount == nullptr) {
    return Fail(ExitCode::kDenied, "work", "work directory lies in another mount namespace");
  }
  KRUX_TRY(CheckType(*mount));

  auto [ours, theirs] = KRUX_TRY(Channel::Pair());
  Cloned child = KRUX_TRY(CloneProcess(0, -1));
  if (child.pid == 0) {
    const Result<CheckedWork> work = Inspect(work_fd, *mount, protected_dirs);
    const int fds[] = {work ? work->directory.get() : -1};
    (void)theirs.Send(EncodeAnswer(work),
                      work ? std::span<const int>(fds) : std::span<const int>());
    _exit(0);
  }
  theirs = Channel();
  Result<Packet> answer = ours.ReceiveWithin(kDeadlineMs, 1);
  const Pidfd pidfd(std::move(child.pidfd));
  (void)pidfd.Kill(SIGKILL);
  // A child stuck in the file system cannot be reaped now; it is not waited for, SIGCHLD is
  // ignored.
  if (!answer) {
    if (answer.error().code != ExitCode::kTimeout)
      return std::unexpected(std::move(answer.error()));
    return Fail(ExitCode::kTimeout, "work",
                "the file system of the work directory does not answer");
  }
  if (answer->eof)
    return Fail(ExitCode::kInternal, "work", "the check of the work directory ended early");
  return DecodeAnswer(std::move(*answer));
}

}  // namespace krux::sandbox
