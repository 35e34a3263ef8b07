#include "runtime/worker/fs_calls.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/path.h"
#include "runtime/worker/locate.h"

namespace krux::runtime {
namespace {

constexpr size_t kMaxNames = 262'144;        // of one directory, kept in memory to be sorted
constexpr size_t kMaxPageBytes = 48 * 1024;  // of entries in one answer; meta holds at most 60 KiB
constexpr size_t kEntryOverhead = 48;        // keys, type and heads of one entry, at most

const char* TypeName(unsigned char type) {
  switch (type) {
    case DT_REG:
      return "file";
    case DT_DIR:
      return "dir";
    case DT_LNK:
      return "link";
    case DT_FIFO:
      return "pipe";
    case DT_SOCK:
      return "socket";
    case DT_CHR:
      return "char";
    case DT_BLK:
      return "block";
    default:
      return "unknown";
  }
}

struct Name {
  std::string name;
  unsigned char type;
};

struct Names {
  std::vector<Name> shown;
  uint64_t hidden = 0;
  bool capped = false;
};

// getdents64(2) itself: readdir(3) would ask fcntl(2) and malloc its own buffer for the same.
Result<Names> ReadNames(int dir, const Found& found, const Request& request) {
  const policy::Scope& scope = request.read_scope;
  const std::vector<std::string> trees = policy::Trees(scope);
  const bool all = std::ranges::any_of(trees, [&](const std::string& tree) {
    return krux_path_within(tree.data(), tree.size(), found.path.data(), found.path.size());
  });
  const std::string prefix = found.path == "/" ? "/" : found.path + "/";
  // The directory itself is none, nor in one: Locate asked.
  const std::string lowered_path = policy::Lowered(found.path);
  std::vector<std::string_view> above = policy::PathComponents(lowered_path);
  std::string lowered;
  Names names;
  std::vector<char> buffer(32 * 1024);
  for (;;) {
    const long size = syscall(SYS_getdents64, dir, buffer.data(), buffer.size());
    if (size < 0) return SysError(ExitCode::kFailed, "list " + Quote(found.path), errno);
    if (size == 0) break;
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
      at += entry->d_reclen;
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      above.push_back(lowered = policy::Lowered(name));
      const bool secret = policy::SecretTop(request.secrets, above) != nullptr;
      above.pop_back();
      if (secret || (!all && !policy::CheckPath(scope, prefix + std::string(name)).inside)) {
        ++names.hidden;
      } else if (names.shown.size() == kMaxNames) {
        names.capped = true;
        return names;
      } else {
        names.shown.push_back({std::string(name), entry->d_type});
      }
    }
  }
  return names;
}

// Some file systems leave d_type unknown; getdents(2) says to ask lstat then.
unsigned char TypeOf(int dir, const Name& name) {
  if (name.type != DT_UNKNOWN) return name.type;
  struct stat stat;
  if (fstatat(dir, name.name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0) return DT_UNKNOWN;
  return static_cast<unsigned char>(IFTODT(stat.st_mode));
}

Answer Page(int dir, const Found& found, const Names& names, uint64_t offset, uint64_t limit) {
  cbor::Array entries;
  size_t bytes = 0;
  uint64_t at = std::min<uint64_t>(offset, names.shown.size());
  for (; at < names.shown.size() && entries.size() < limit; ++at) {
    const Name& name = names.shown[at];
    cbor::Map entry{{"name", SafeText(name.name)}, {"type", TypeName(TypeOf(dir, name))}};
    bytes += kEntryOverhead + SafeText(name.name).size();
    if (!krux_path_is_utf8(name.name.data(), name.name.size())) {
      entry.Set("bytes", cbor::Bytes(name.name.begin(), name.name.end()));
      bytes += name.name.size();
    }
    if (bytes > kMaxPageBytes) break;
    entries.emplace_back(std::move(entry));
  }
  Answer answer{.data = PathData(found)};
  answer.data.Set("offset", offset);
  answer.data.Set("total", static_cast<uint64_t>(names.shown.size()));
  answer.data.Set("hidden", names.hidden);
  answer.data.Set("entries", std::move(entries));
  answer.truncated = names.capped || at < names.shown.size();
  if (at < names.shown.size()) answer.data.Set("next_offset", at);
  if (names.capped)
    answer.message = "the directory holds more than 262144 names; the rest is left out";
  return answer;
}

// A refusal too says which file it is about: kruxd counts what was found, not what was asked for.
Answer About(const Found& found, Answer refusal) {
  refusal.data = PathData(found);
  return refusal;
}

}  // namespace

Answer FsRead(const Request& request, std::span<uint8_t> out) {
  Result<Found> found = Locate(request);
  if (!found) return Refusal(found.error());
  // Before anything is opened: opening a pipe or a device is itself an effect.
  if (!S_ISREG(found->stat.st_mode)) {
    const bool dir = S_ISDIR(found->stat.st_mode);
    return About(*found, Refusal(ExitCode::kBadData,
                                 Quote(found->path) + " is " + KindOf(found->stat.st_mode) +
                                     (dir ? "; list it with fs.list"
                                          : "; fs.read reads regular files only")));
  }
  Result<UniqueFd> file = Reopen(*found, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file) return About(*found, Refusal(file.error()));

  const uint64_t offset = Number(request, "offset");
  const uint64_t limit = std::min<uint64_t>(Number(request, "limit"), out.size());
  uint64_t done = 0;
  while (done < limit) {
    const ssize_t got =
        pread(file->get(), out.data() + done, limit - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return Refusal(SysError(ExitCode::kFailed, "read " + Quote(found->path), errno).error());
    if (got == 0) break;
    done += static_cast<uint64_t>(got);
  }
  uint8_t next;
  const bool eof =
      done < limit || pread(file->get(), &next, 1, static_cast<off_t>(offset + done)) <= 0;
  Answer answer{.data = PathData(*found), .truncated = !eof, .data_bytes = done};
  answer.data.Set("size", static_cast<uint64_t>(found->stat.st_size));
  answer.data.Set("offset", offset);
  answer.data.Set("bytes", done);
  answer.data.Set("eof", eof);
  return answer;
}

Answer FsList(const Request& request) {
  Result<Found> found = Locate(request);
  if (!found) return Refusal(found.error());
  if (!S_ISDIR(found->stat.st_mode)) {
    return About(*found, Refusal(ExitCode::kBadData, Quote(found->path) + " is " +
                                                         KindOf(found->stat.st_mode) +
                                                         ", no directory; ask fs.stat about it"));
  }
  Result<UniqueFd> dir = Reopen(*found, O_RDONLY | O_DIRECTORY);
  if (!dir) return About(*found, Refusal(dir.error()));
  Result<Names> names = ReadNames(dir->get(), *found, request);
  if (!names) return About(*found, Refusal(names.error()));
  std::ranges::sort(names->shown, [](const Name& a, const Name& b) {
    const int order =
        std::memcmp(a.name.data(), b.name.data(), std::min(a.name.size(), b.name.size()));
    return order != 0 ? order < 0 : a.name.size() < b.name.size();
  });
  return Page(dir->get(), *found, *names, Number(request, "offset"), Number(request, "limit"));
}

Answer FsStat(const Request& request) {
  Result<Found> found = Locate(request);
  if (!found) return Refusal(found.error());
  const struct stat& stat = found->stat;
  Answer answer{.data = PathData(*found)};
  answer.data.Set("type", TypeName(static_cast<unsigned char>(IFTODT(stat.st_mode))));
  answer.data.Set("size", static_cast<uint64_t>(std::max<off_t>(stat.st_size, 0)));
  answer.data.Set("mode", static_cast<unsigned>(stat.st_mode & 07777));
  answer.data.Set("nlink", static_cast<uint64_t>(stat.st_nlink));
  answer.data.Set("mtime", static_cast<int64_t>(stat.st_mtim.tv_sec));
  answer.data.Set("mtime_nsec", static_cast<uint64_t>(stat.st_mtim.tv_nsec));
  return answer;
}

}  // namespace krux::runtime
