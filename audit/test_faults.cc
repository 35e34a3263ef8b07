#include "audit/test_faults.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace krux::audit {
namespace {

std::string FileOf(const std::string& name) {
  if (name.ends_with(".klog")) return "segment";
  return name == "checkpoints" ? "checkpoints" : "other";
}

// errno by its name; a name that is none stops the daemon, so that no test passes by a typo.
int ErrorOf(const std::string& name) {
  for (int e = 1; e < 140; ++e) {
    const char* known = strerrorname_np(e);
    if (known != nullptr && name == known) return e;
  }
  abort();
}

}  // namespace

void TestFaults::Load() {
  std::ifstream in(path_);
  std::stringstream whole;
  whole << in.rdbuf();
  if (whole.str() == text_) return;
  text_ = whole.str();
  faults_.clear();
  longest_write_ = SIZE_MAX;
  std::istringstream lines(text_);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string what, error;
    words >> what >> error;
    if (what.starts_with("short:")) {
      longest_write_ = std::strtoul(what.c_str() + 6, nullptr, 10);
      continue;
    }
    if (what.empty()) continue;
    Fault fault;
    fault.call = what.substr(0, what.find(':'));
    if (what.find(':') != what.npos) fault.file = what.substr(what.find(':') + 1);
    fault.error = ErrorOf(error);
    if (words >> fault.first) fault.last = fault.first;
    words >> fault.last;
    faults_.push_back(fault);
  }
}

int TestFaults::Hook(const std::string& call, const std::string& file) {
  Load();
  for (Fault& fault : faults_) {
    if (fault.call != call || (!fault.file.empty() && fault.file != file)) continue;
    fault.seen += 1;
    if (fault.seen >= fault.first && fault.seen <= fault.last) return -fault.error;
  }
  return 0;
}

int TestFaults::OpenAt(int dir, const char* name, int flags, mode_t mode) {
  const int e = Hook((flags & O_CREAT) != 0 ? "create" : "open", FileOf(name));
  if (e < 0) return e;
  const int fd = Io::OpenAt(dir, name, flags, mode);
  if (fd >= 0) files_[fd] = FileOf(name);
  return fd;
}

ssize_t TestFaults::Writev(int fd, const iovec* parts, int count) {
  if (const int e = Hook("writev", fd); e < 0) return e;
  std::vector<iovec> cut;
  size_t left = longest_write_;
  for (int i = 0; i < count && left > 0; ++i) {
    cut.push_back({parts[i].iov_base, std::min(parts[i].iov_len, left)});
    left -= cut.back().iov_len;
  }
  return Io::Writev(fd, cut.data(), static_cast<int>(cut.size()));
}

int TestFaults::Fdatasync(int fd) {
  const int e = Hook("fdatasync", fd);
  return e < 0 ? e : Io::Fdatasync(fd);
}

int TestFaults::Fsync(int fd) {
  const int e = Hook("fsync", fd);
  return e < 0 ? e : Io::Fsync(fd);
}

int TestFaults::Reserve(int fd, uint64_t size) {
  const int e = Hook("reserve", fd);
  return e < 0 ? e : Io::Reserve(fd, size);
}

int TestFaults::Truncate(int fd, uint64_t size) {
  const int e = Hook("truncate", fd);
  return e < 0 ? e : Io::Truncate(fd, size);
}

int TestFaults::StatAt(int dir, const char* name, struct stat* out) {
  const int e = Hook("stat", FileOf(name));
  return e < 0 ? e : Io::StatAt(dir, name, out);
}

int TestFaults::Rename(int dir, const char* from, const char* to) {
  const int e = Hook("rename", FileOf(from));
  return e < 0 ? e : Io::Rename(dir, from, to);
}

int TestFaults::Unlink(int dir, const char* name) {
  const int e = Hook("unlink", FileOf(name));
  return e < 0 ? e : Io::Unlink(dir, name);
}

}  // namespace krux::audit
