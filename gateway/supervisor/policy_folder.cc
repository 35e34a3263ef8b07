#include "gateway/supervisor/policy_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/cbor_value.h"
#include "base/unique_fd.h"
#include "gateway/policy_parcel.h"

namespace krux::gateway {
namespace {

constexpr std::string_view kSuffix = ".toml";
constexpr int kReadings = 5;  // of a file that somebody is writing just now

std::unexpected<Error> Wrong(const std::string& path, const std::string& why) {
  return Fail(ExitCode::kConfig, "policies", "`" + path + "` " + why);
}

// An access control list shows in the bits of the group, acl(5).
Result<void> CheckOwner(const struct stat& st, const std::string& path) {
  if ((st.st_uid == 0 || st.st_uid == geteuid()) && (st.st_mode & 022) == 0) return {};
  return Wrong(path, "can be written by others; run `chmod go-w " + path + "` and make it yours");
}

bool SameContent(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec && a.st_ctim.tv_sec == b.st_ctim.tv_sec &&
         a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

// Whether nobody has the file open for writing, nor can until `fd` is closed: a lease, fcntl(2). A
// writer that was interrupted halfway shows in nothing else. Where this file system or this file
// has none (somebody else's, without CAP_LEASE), its times and two readings have to do. The signal
// that a writer waits is one that is ignored; SIGIO would end the process.
bool IsQuiet(int fd) {
  if (fcntl(fd, F_SETSIG, SIGURG) != 0) return true;
  return fcntl(fd, F_SETLEASE, F_RDLCK) == 0 || errno != EAGAIN;
}

// All of it, and one byte more where there is more than a policy may have.
Result<std::string> ReadAll(int fd, const std::string& path) {
  std::string text(policy::kMaxPolicyBytes + 1, '\0');
  size_t length = 0;
  while (length < text.size()) {
    const ssize_t got =
        pread(fd, text.data() + length, text.size() - length, static_cast<off_t>(length));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SysError(ExitCode::kConfig, "read `" + path + "`", errno);
    if (got == 0) break;
    length += static_cast<size_t>(got);
  }
  text.resize(length);
  return text;
}

size_t LineOfBadByte(const std::string& text) {
  size_t begin = 0, line = 1;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    if (!cbor::IsUtf8(std::string_view(text).substr(begin, end - begin))) return line;
    begin = end + 1;
    ++line;
  }
  return line;
}

Result<std::string> ReadPolicyFile(int folder, const std::string& name, const std::string& path) {
  for (int reading = 0; reading < kReadings; ++reading) {
    // O_NONBLOCK: to open a pipe would wait for its writer, fifo(7).
    const UniqueFd fd(
        openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!fd.valid() && errno == ELOOP) return Wrong(path, "is a link; put the file itself there");
    if (!fd.valid()) return SysError(ExitCode::kConfig, "open `" + path + "`", errno);
    struct stat before{}, after{};
    if (fstat(fd.get(), &before) != 0)
      return SysError(ExitCode::kConfig, "look at `" + path + "`", errno);
    if (!S_ISREG(before.st_mode)) return Wrong(path, "is no regular file; remove it");
    KRUX_TRY(CheckOwner(before, path));
    const bool quiet = IsQuiet(fd.get());
    std::string text = KRUX_TRY(ReadAll(fd.get(), path));
    if (text.size() > policy::kMaxPolicyBytes) {
      return Wrong(path, "is larger than " + std::to_string(policy::kMaxPolicyBytes / 1024) +
                             " KiB; split it into policies of their own");
    }
    // Twice: the times of a file may be as coarse as the timer's tick.
    const bool same = KRUX_TRY(ReadAll(fd.get(), path)) == text;
    if (fstat(fd.get(), &after) != 0)
      return SysError(ExitCode::kConfig, "look at `" + path + "`", errno);
    if (!quiet || !same || !SameContent(before, after)) continue;
    if (!cbor::IsUtf8(text)) {
      return Fail(ExitCode::kConfig, "policies",
                  path + ":" + std::to_string(LineOfBadByte(text)) +
                      ":1: this line is not UTF-8; save the file as UTF-8");
    }
    return text;
  }
  return Wrong(path, "changes while it is read; write it elsewhere and rename it into place");
}

Result<std::vector<std::string>> PolicyNames(int folder, const std::string& path) {
  const int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(fd >= 0 ? fdopendir(fd) : nullptr, closedir);
  if (entries == nullptr) return SysError(ExitCode::kConfig, "list `" + path + "`", errno);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(entries.get())) {  // NOLINT(concurrency-mt-unsafe)
    const std::string name = entry->d_name;
    if (name.starts_with('.') || !name.ends_with(kSuffix)) continue;
    if (names.size() >= policy::kMaxPolicyFiles) {
      return Wrong(path, "holds more than " + std::to_string(policy::kMaxPolicyFiles) +
                             " policy files; remove those that nobody uses");
    }
    if (name.size() > kMaxPolicyNameBytes || !cbor::IsUtf8(name))
      return Wrong(path, "holds a file whose name no policy can have; rename it");
    names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

// Who can write the folder above can put another one in place.
Result<void> CheckAbove(int folder, const std::string& path) {
  struct stat st{};
  if (fstatat(folder, "..", &st, 0) != 0)
    return SysError(ExitCode::kConfig, "look at the folder above `" + path + "`", errno);
  return CheckOwner(st, path.substr(0, path.rfind('/')));
}

}  // namespace

std::string PolicyFolder(const std::string& config_file) {
  return config_file.substr(0, config_file.rfind('/') + 1) + "policies";
}

Result<std::vector<policy::PolicySource>> ReadPolicyFolder(const std::string& folder) {
  const UniqueFd dir(
      open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!dir.valid() && errno == ENOENT) return std::vector<policy::PolicySource>();
  if (!dir.valid() && (errno == ENOTDIR || errno == ELOOP))
    return Wrong(folder, "is no folder, or a link to one; put the folder itself there");
  if (!dir.valid()) return SysError(ExitCode::kConfig, "open `" + folder + "`", errno);
  struct stat st{};
  if (fstat(dir.get(), &st) != 0)
    return SysError(ExitCode::kConfig, "look at `" + folder + "`", errno);
  KRUX_TRY(CheckOwner(st, folder));
  KRUX_TRY(CheckAbove(dir.get(), folder));
  std::vector<policy::PolicySource> files;
  size_t total = 0;
  const std::vector<std::string> names = KRUX_TRY(PolicyNames(dir.get(), folder));
  for (const std::string& name : names) {
    std::string text = KRUX_TRY(ReadPolicyFile(dir.get(), name, folder + "/" + name));
    total += name.size() + text.size() + 16;  // with the heads of CBOR
    if (total > kMaxPolicyParcel - 16)
      return Wrong(folder, "holds more than 2 MiB of policies; remove those that nobody uses");
    files.push_back(policy::OperatorFile(name, std::move(text)));
  }
  return files;
}

}  // namespace krux::gateway
