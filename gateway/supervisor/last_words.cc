#include "gateway/supervisor/last_words.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "base/unique_fd.h"

namespace krux::gateway {
namespace {

constexpr off_t kTail = 64 * 1024;
constexpr size_t kMaxWords = 1024;

}  // namespace

LogMark::LogMark(std::string path) : path_(std::move(path)) {
  struct stat st{};
  if (stat(path_.c_str(), &st) == 0) from_ = st.st_size;
}

std::string LogMark::LastWords(const std::string& program) const {
  const UniqueFd fd(open(path_.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat st{};
  if (!fd.valid() || fstat(fd.get(), &st) != 0 || st.st_size <= from_) return {};
  std::string text(static_cast<size_t>(std::min(st.st_size - from_, kTail)), '\0');
  const ssize_t got =
      pread(fd.get(), text.data(), text.size(), st.st_size - static_cast<off_t>(text.size()));
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  std::istringstream lines(text);
  std::string words;
  for (std::string line; std::getline(lines, line);) {
    // "<3>krux-auditd: …", base/log.h; without the priority where it was said by printf.
    const size_t name = line.starts_with('<') ? line.find('>') + 1 : 0;
    if (line.compare(name, program.size() + 2, program + ": ") != 0) continue;
    words = line.substr(name + program.size() + 2, kMaxWords);
  }
  return words;
}

}  // namespace krux::gateway
