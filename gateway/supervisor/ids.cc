#include "gateway/supervisor/ids.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "base/clock.h"
#include "base/unique_fd.h"

namespace krux::gateway {
namespace {

// The range of system ids that login.defs(5) SYS_UID_MIN … SYS_UID_MAX leaves to the administrator,
// without its low end, where distributions put their own.
constexpr uid_t kFirst = 300;
constexpr uid_t kLast = 999;

struct Role {
  const char* name;  // in <state>/ids
  const char* user;  // of the package
  uid_t DaemonIds::* id;
};
constexpr Role kRoles[] = {
    {"audit", "krux-audit", &DaemonIds::audit},
    {"kruxd", "krux", &DaemonIds::kruxd},
    {"spawn", "krux-spawn", &DaemonIds::spawn},
    {"worker", "krux-agent", &DaemonIds::worker},
};

// "name:first:count" per line, subuid(5).
bool InSubordinateRange(const char* file, uid_t id) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const size_t first_colon = line.find(':');
    const size_t second_colon = line.find(':', first_colon + 1);
    if (first_colon == std::string::npos || second_colon == std::string::npos) continue;
    uint64_t first = 0;
    uint64_t count = 0;
    std::from_chars(line.data() + first_colon + 1, line.data() + second_colon, first);
    std::from_chars(line.data() + second_colon + 1, line.data() + line.size(), count);
    if (id >= first && id < first + count) return true;
  }
  return false;
}

// The owner of /proc/<pid> is the effective uid of a dumpable process; others show 0, so the ids
// are read from status (proc_pid_status(5)). A zombie does nothing any more, and not every init
// reaps soon: the daemons of a supervisor that was killed must not keep their ids from the next.
bool AnyProcessOf(uid_t id) {
  std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), closedir);
  if (proc == nullptr) return true;
  while (const dirent* entry = readdir(proc.get())) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    std::ifstream status(std::string("/proc/") + entry->d_name + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("State:\tZ") || line.starts_with("State:\tX")) break;
      if (!line.starts_with("Uid:") && !line.starts_with("Gid:")) continue;
      std::istringstream words(line.substr(4));
      for (uint64_t word = 0; words >> word;) {
        if (word == id) return true;
      }
    }
  }
  return false;
}

DaemonIds ReadRecorded(int state_dir) {
  DaemonIds ids;
  UniqueFd fd(openat(state_dir, "ids", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  char buffer[512];
  const ssize_t size = fd.valid() ? read(fd.get(), buffer, sizeof(buffer)) : 0;
  std::istringstream lines(std::string(buffer, size > 0 ? static_cast<size_t>(size) : 0));
  std::string name;
  for (uint64_t id = 0; lines >> name >> id;) {
    for (const Role& role : kRoles) {
      if (name == role.name && id >= kFirst && id <= kLast) ids.*role.id = static_cast<uid_t>(id);
    }
  }
  return ids;
}

Result<void> Record(int state_dir, const DaemonIds& ids) {
  std::string text;
  for (const Role& role : kRoles)
    text += std::string(role.name) + " " + std::to_string(ids.*role.id) + "\n";
  UniqueFd fd(
      openat(state_dir, "ids.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid() ||
      write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      renameat(state_dir, "ids.new", state_dir, "ids") != 0) {
    return SysError(ExitCode::kConfig, "record the ids of the daemons", errno);
  }
  return {};
}

Result<uid_t> FindFree(const std::set<uid_t>& taken) {
  // From a random place, so that two gateways that start at once seldom choose the same ids.
  uint32_t start = 0;
  SystemRandom().Fill(std::span(reinterpret_cast<uint8_t*>(&start), sizeof(start)));
  constexpr uid_t kCount = kLast - kFirst + 1;
  for (uid_t i = 0; i < kCount; ++i) {
    const uid_t id = kFirst + (start + i) % kCount;
    if (!taken.contains(id) && IsFreeId(id, true)) return id;
  }
  return Fail(ExitCode::kConfig, "ids",
              "no system id between 300 and 999 is free for krux's daemons; install the package");
}

// A process of a gateway that was just killed may still be going; an id of one that stays is given
// up.
bool StillFree(uid_t id) {
  for (int attempt = 0; attempt < 20; ++attempt) {
    if (IsFreeId(id, true)) return true;
    if (!IsFreeId(id, false)) return false;
    usleep(50'000);
  }
  return false;
}

}  // namespace

bool IsFreeId(uid_t id, bool processes_matter) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  if (getpwuid(id) != nullptr || getgrgid(id) != nullptr) return false;
  if (InSubordinateRange("/etc/subuid", id) || InSubordinateRange("/etc/subgid", id)) return false;
  return !processes_matter || !AnyProcessOf(id);
}

Result<DaemonIds> ChooseIds(int state_dir, std::optional<unsigned> worker) {
  if (geteuid() != 0) return DaemonIds{geteuid(), geteuid(), geteuid(), geteuid()};
  const DaemonIds recorded = ReadRecorded(state_dir);
  DaemonIds ids = recorded;
  std::set<uid_t> taken;
  if (worker) {
    if (*worker == 0 || !StillFree(*worker)) {
      return Fail(ExitCode::kConfig, "ids",
                  "`sandbox.host_uid` " + std::to_string(*worker) +
                      " is somebody's: workers need an id without a user, a group or a process; "
                      "choose another, or leave the line out");
    }
    taken.insert(*worker);
  }
  for (const Role& role : kRoles) {
    if (worker && role.id == &DaemonIds::worker) {
      ids.worker = *worker;
      continue;
    }
    if (const passwd* user = getpwnam(role.user);
        user != nullptr) {  // NOLINT(concurrency-mt-unsafe)
      ids.*role.id = user->pw_uid;
    } else if (ids.*role.id == 0 || taken.contains(ids.*role.id) || !StillFree(ids.*role.id)) {
      ids.*role.id = KRUX_TRY(FindFree(taken));
    }
    taken.insert(ids.*role.id);
  }
  // A full disk is no reason not to start: what stands there is not written again.
  if (ids != recorded) KRUX_TRY(Record(state_dir, ids));
  return ids;
}

}  // namespace krux::gateway
