#include "audit/verify/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>

namespace krux::audit::verify {
namespace {

bool IsLogId(std::string_view name) {
  return name.size() == 32 && name.find_first_not_of("0123456789abcdef") == name.npos;
}

bool IsSegment(std::string_view name, uint64_t* first_seq) {
  if (name.size() != 29 || name.substr(0, 4) != "seg-" || name.substr(24) != ".klog") return false;
  const auto [end, error] = std::from_chars(name.data() + 4, name.data() + 24, *first_seq);
  return error == std::errc() && end == name.data() + 24;
}

std::string LastPart(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

std::string OpenFolder(const std::string& path, Folder* folder) {
  std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(path.c_str()), closedir);
  if (!entries) return "`" + path + "` cannot be read: " + std::strerror(errno);
  std::vector<std::string> logs;
  bool is_log = false;
  folder->segments.clear();
  while (const dirent* entry = readdir(entries.get())) {
    const std::string name = entry->d_name;
    uint64_t first_seq = 0;
    if (IsSegment(name, &first_seq)) folder->segments.push_back({first_seq, name});
    if (IsLogId(name)) logs.push_back(name);
    is_log |= name == "checkpoints";
  }
  is_log |= !folder->segments.empty();
  if (!is_log && logs.size() == 1) return OpenFolder(path + "/" + logs[0], folder);
  if (!is_log && logs.size() > 1) return "`" + path + "` holds more than one log; name one of them";
  if (!is_log && !IsLogId(LastPart(path))) return "there is no log in `" + path + "`";
  folder->path = path;
  if (IsLogId(LastPart(path))) folder->log_id = LastPart(path);
  std::ranges::sort(folder->segments, {}, &SegmentFile::first_seq);
  return {};
}

std::string ReadFile(const std::string& path, uint64_t offset, uint64_t limit,
                     std::vector<uint8_t>* bytes) {
  bytes->clear();
  const int fd = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return std::strerror(errno);
  struct stat st;
  std::string why;
  if (fstat(fd, &st) != 0) {
    why = std::strerror(errno);
  } else if (!S_ISREG(st.st_mode)) {
    why = "not a regular file";
  } else if (static_cast<uint64_t>(st.st_size) > offset) {
    bytes->resize(std::min<uint64_t>(static_cast<uint64_t>(st.st_size) - offset, limit));
    size_t got = 0;
    while (got < bytes->size()) {
      const ssize_t n =
          pread(fd, bytes->data() + got, bytes->size() - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) why = std::strerror(errno);
      if (n <= 0) break;
      got += static_cast<size_t>(n);
    }
    bytes->resize(got);
  }
  close(fd);
  return why;
}

}  // namespace krux::audit::verify
