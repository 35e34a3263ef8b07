#include "gateway/supervisor/delegated_cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

namespace krux::gateway {
namespace {

constexpr const char* kPrefix = "krux-";

std::vector<std::string> Directories(int parent) {
  std::vector<std::string> names;
  const int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::unique_ptr<DIR, int (*)(DIR*)> dir(fd >= 0 ? fdopendir(fd) : nullptr, closedir);
  if (dir == nullptr) return names;
  while (const dirent* entry = readdir(dir.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

bool Write(int dir, const char* file, const std::string& text) {
  UniqueFd fd(openat(dir, file, O_WRONLY | O_CLOEXEC));
  return fd.valid() &&
         write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Kills what is inside and removes the directory: rmdir says EBUSY while a killed process is on its
// way.
void RemoveTree(int parent, const std::string& name) {
  UniqueFd dir(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir.valid()) return;
  Write(dir.get(), "cgroup.kill", "1");
  for (const std::string& child : Directories(dir.get())) RemoveTree(dir.get(), child);
  dir.reset();
  for (int attempt = 0; attempt < 200; ++attempt) {
    if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno != EBUSY) return;
    usleep(5'000);
  }
}

// Not gone, and no zombie that a slow init has not reaped yet; proc_pid_stat(5): "pid (comm)
// state".
bool Lives(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  const bool read = static_cast<bool>(std::getline(file, line));
  const size_t comm = line.rfind(')');
  if (!read || comm == std::string::npos || comm + 2 >= line.size())
    return kill(pid, 0) == 0 || errno != ESRCH;
  return line[comm + 2] != 'Z' && line[comm + 2] != 'X';
}

// Directories of supervisors that were killed before they could remove them.
void RemoveStale(int parent) {
  for (const std::string& name : Directories(parent)) {
    if (!name.starts_with(kPrefix)) continue;
    const pid_t pid =
        static_cast<pid_t>(std::strtol(name.c_str() + std::strlen(kPrefix), nullptr, 10));
    if (pid > 0 && !Lives(pid)) RemoveTree(parent, name);
  }
}

// The files of cgroup-v2.rst "Delegation Containment": with them spawnd makes leaves and moves only
// its own children.
Result<void> GiveTo(int dir, uid_t owner) {
  for (const char* file : {"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"}) {
    if (fchownat(dir, file, owner, owner, *file == '\0' ? AT_EMPTY_PATH : 0) != 0) {
      return SysError(ExitCode::kSandbox, "give the cgroup to krux-spawnd", errno);
    }
  }
  return {};
}

Result<UniqueFd> MakeAndOpen(int parent, const std::string& name) {
  if (mkdirat(parent, name.c_str(), 0755) != 0 && errno != EEXIST) {
    return SysError(ExitCode::kSandbox, "make a cgroup", errno);
  }
  UniqueFd fd(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return SysError(ExitCode::kSandbox, "open a cgroup", errno);
  return fd;
}

}  // namespace

std::string FindCgroup2Mount(const std::string& mountinfo) {
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    // "31 23 0:28 / /sys/fs/cgroup rw,… - cgroup2 cgroup2 rw", proc_pid_mountinfo(5).
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos || line.compare(dash + 3, 8, "cgroup2 ") != 0) continue;
    std::istringstream words(line);
    std::string id, parent, device, root, point, options;
    words >> id >> parent >> device >> root >> point >> options;
    if (options.starts_with("rw") && line.substr(dash).find(" rw") != std::string::npos)
      return point;
  }
  return {};
}

DelegatedCgroup& DelegatedCgroup::operator=(DelegatedCgroup&& other) noexcept {
  if (this != &other) {
    Remove();
    parent_ = std::move(other.parent_);
    dir_ = std::move(other.dir_);
    spawnd_ = std::move(other.spawnd_);
    name_ = std::move(other.name_);
    path_ = std::move(other.path_);
  }
  return *this;
}

Result<DelegatedCgroup> DelegatedCgroup::Make(uid_t spawn) {
  std::ifstream in("/proc/self/mountinfo");
  std::stringstream mountinfo;
  mountinfo << in.rdbuf();
  const std::string mount = FindCgroup2Mount(mountinfo.str());
  if (mount.empty())
    return Fail(ExitCode::kSandbox, "cgroup", "no cgroup2 file system is mounted read-write");
  DelegatedCgroup cgroup;
  cgroup.parent_ = UniqueFd(open(mount.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup.parent_.valid()) return SysError(ExitCode::kSandbox, "open `" + mount + "`", errno);
  RemoveStale(cgroup.parent_.get());
  // A child has the controllers its parent passes on. Where one does not exist the write fails, and
  // what is missing shows in the receipts and in `krux doctor`.
  for (const char* controller : {"+memory", "+pids", "+cpu", "+io"}) {
    Write(cgroup.parent_.get(), "cgroup.subtree_control", controller);
  }
  cgroup.name_ = kPrefix + std::to_string(getpid());
  cgroup.path_ = mount + "/" + cgroup.name_;
  cgroup.dir_ = KRUX_TRY(MakeAndOpen(cgroup.parent_.get(), cgroup.name_));
  KRUX_TRY(GiveTo(cgroup.dir_.get(), spawn));
  cgroup.spawnd_ = KRUX_TRY(MakeAndOpen(cgroup.dir_.get(), "spawnd"));
  KRUX_TRY(GiveTo(cgroup.spawnd_.get(), spawn));
  return cgroup;
}

void DelegatedCgroup::RemoveLeaves() {
  if (!valid()) return;
  for (const std::string& name : Directories(dir_.get())) {
    if (name != "spawnd") RemoveTree(dir_.get(), name);
  }
}

void DelegatedCgroup::Remove() {
  if (!valid()) return;
  spawnd_.reset();
  dir_.reset();
  RemoveTree(parent_.get(), name_);
  parent_.reset();
}

}  // namespace krux::gateway
