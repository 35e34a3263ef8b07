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

// The controllers that the cgroup layer needs to be whole. `io` is used where it is there: few file
// systems have a disk of their own that it could limit.
inline constexpr const char* kControllers[] = {"memory", "pids", "cpu"};
inline constexpr const char* kIoController = "io";

class CgroupLeaf {
 public:
  CgroupLeaf() = default;
  CgroupLeaf(CgroupLeaf&&) noexcept = default;
  CgroupLeaf& operator=(CgroupLeaf&&) noexcept;
  ~CgroupLeaf() { Remove(); }

  int fd() const { return dir_.get(); }
  // A directory that is already there; it goes with its object.
  static Result<CgroupLeaf> Open(int parent, const std::string& name);
  // Writes each file. What a file then reads as is `wanted()`, and what the receipt is held to.
  // Only io.max may be refused: a disk without a queue of its own has none to limit.
  Result<void> Set(const cbor::Map& limits);
  const cbor::Map& wanted() const { return wanted_; }

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
  cbor::Map wanted_;
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
  // `disk`: under WORK, DiskOf; may be empty.
  Result<CgroupLeaf> MakeLeaf(const std::string& name, const Limits& limits,
                              const std::string& disk) const;
  // File → content, for the controllers that are there.
  cbor::Map LimitFiles(const Limits& limits, const std::string& disk) const;

 private:
  bool Has(std::string_view controller) const;
  UniqueFd dir_;
  bool io_ = false;
  std::vector<std::string> missing_;
};

}  // namespace krux::sandbox
