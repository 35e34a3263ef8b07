// DelegatedCgroup: the one cgroup v2 directory `krux-<pid>` that belongs to krux-spawnd: it lives
// in <delegated>/spawnd, every call in <delegated>/<call>. Removed, with all that is in it, at the
// end.
//
//   auto cgroup = DelegatedCgroup::Make(ids.spawn);   // an error: none can be had here
//   StartDaemon({…, .cgroup = cgroup->spawnd_fd()});  // CLONE_INTO_CGROUP
#pragma once

#include <sys/types.h>

#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace krux::gateway {

class DelegatedCgroup {
 public:
  DelegatedCgroup() = default;
  DelegatedCgroup(DelegatedCgroup&&) noexcept = default;
  DelegatedCgroup& operator=(DelegatedCgroup&&) noexcept;
  ~DelegatedCgroup() { Remove(); }

  // Root only. Finds the cgroup2 mount in /proc/self/mountinfo; cgroup-v2.rst "Delegation".
  static Result<DelegatedCgroup> Make(uid_t spawn);

  bool valid() const { return dir_.valid(); }
  int fd() const { return dir_.get(); }            // for spawnd: --cgroup-fd
  int spawnd_fd() const { return spawnd_.get(); }  // where spawnd is born
  const std::string& path() const { return path_; }
  // Kills and removes the leaves of a generation that ended.
  void RemoveLeaves();
  void Remove();

 private:
  UniqueFd parent_;
  UniqueFd dir_;
  UniqueFd spawnd_;
  std::string name_;
  std::string path_;
};

// The mount point of a cgroup2 file system that is mounted read-write; empty when there is none.
std::string FindCgroup2Mount(const std::string& mountinfo);

}  // namespace krux::gateway
