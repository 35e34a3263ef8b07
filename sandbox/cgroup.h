// CgroupLeaf: one cgroup v2 leaf per call, entered at birth, killed and removed at the end.
// Kernel: Documentation/admin-guide/cgroup-v2.rst.
//
//   CgroupTree tree = KRUX_TRY(CgroupTree::Open(std::move(delegated_dir)));
//   CgroupLeaf leaf = KRUX_TRY(tree.MakeLeaf("call-1f", limits));
//   CloneProcess(flags, leaf.fd());
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/cbor_value.h"
#include "base/unique_fd.h"
#include "sandbox/spec.h"

namespace krux::sandbox {

// The controllers that the cgroup layer needs to be whole.
inline constexpr const char* kControllers[] = {"memory", "pids", "cpu"};

class CgroupLeaf {
 public:
  CgroupLeaf() = default;
  CgroupLeaf(CgroupLeaf&&) noexcept = default;
  CgroupLeaf& operator=(CgroupLeaf&&) noexcept;
  ~CgroupLeaf() { Remove(); }

  int fd() const { return dir_.get(); }
  bool valid() const { return dir_.valid(); }
  const std::string& name() const { return name_; }
  // Kills every process inside at once (cgroup.kill, Linux 5.14).
  void Kill() const;
  // The kernel killed something inside for memory (memory.events: oom_kill, oom_group_kill).
  bool OomKilled() const;
  // The kernel refused a fork inside for their number (pids.events: max).
  bool PidsRefused() const;
  // The limits as the kernel holds them: {"memory.max": "…", …}; files that are absent are left
  // out.
  cbor::Map ReadLimits() const;

 private:
  friend class CgroupTree;
  void Remove();
  uint64_t Events(const char* file, std::string_view event) const;
  UniqueFd parent_;
  UniqueFd dir_;
  std::string name_;
};

class CgroupTree {
 public:
  CgroupTree() = default;
  // `delegated`: the directory that belongs to spawnd; enables what controllers there are for
  // leaves.
  static Result<CgroupTree> Open(UniqueFd delegated);
  bool valid() const { return dir_.valid(); }
  // Of kControllers, those that this hierarchy cannot give.
  const std::vector<std::string>& missing() const { return missing_; }
  // A leaf can be made, and every controller is there for it.
  bool whole() const { return valid() && missing_.empty(); }
  Result<CgroupLeaf> MakeLeaf(const std::string& name, const Limits& limits) const;
  // What MakeLeaf must have made the kernel hold.
  cbor::Map ExpectedLimits(const Limits& limits) const;

 private:
  bool Has(std::string_view controller) const;
  UniqueFd dir_;
  std::vector<std::string> missing_;
};

}  // namespace krux::sandbox
