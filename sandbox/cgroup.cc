#include "sandbox/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "sandbox/namespaces.h"

namespace krux::sandbox {
namespace {

constexpr const char* kLimitFiles[] = {"memory.max", "memory.oom.group", "memory.swap.max",
                                       "pids.max", "cpu.max"};

// memory.max counts whole pages and reads back rounded down.
uint64_t WholePages(uint64_t bytes) { return bytes & ~uint64_t{4095}; }

bool Exists(int dirfd, const std::string& name) {
  return faccessat(dirfd, name.c_str(), F_OK, 0) == 0;
}

std::string Line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

CgroupLeaf& CgroupLeaf::operator=(CgroupLeaf&& other) noexcept {
  if (this != &other) {
    Remove();
    parent_ = std::move(other.parent_);
    dir_ = std::move(other.dir_);
    name_ = std::move(other.name_);
  }
  return *this;
}

void CgroupLeaf::Kill() const {
  if (valid()) (void)WriteFileAt(dir_.get(), "cgroup.kill", "1");
}

bool CgroupLeaf::OomKilled() const {
  return Events("memory.events", "oom_kill") + Events("memory.events", "oom_group_kill") > 0;
}

bool CgroupLeaf::PidsRefused() const { return Events("pids.events", "max") > 0; }

// Lines of "name count" (cgroup-v2.rst, flat keyed); 0 where the controller is not there.
uint64_t CgroupLeaf::Events(const char* file, std::string_view event) const {
  if (!valid()) return 0;
  const Result<std::string> text = ReadFileAt(dir_.get(), file, 4096);
  if (!text) return 0;
  const std::string lines = "\n" + *text;
  const std::string wanted = "\n" + std::string(event) + " ";
  const size_t at = lines.find(wanted);
  return at == std::string::npos ? 0
                                 : std::strtoull(lines.c_str() + at + wanted.size(), nullptr, 10);
}

cbor::Map CgroupLeaf::ReadLimits() const {
  cbor::Map limits;
  for (const char* file : kLimitFiles) {
    if (Result<std::string> text = ReadFileAt(dir_.get(), file, 4096))
      limits.Set(file, Line(*text));
  }
  return limits;
}

void CgroupLeaf::Remove() {
  if (!valid()) return;
  Kill();
  dir_.reset();
  // EBUSY only while a killed process is still on its way out; its zombie does not count
  // (cgroup-v2.rst).
  for (int attempt = 0; attempt < 50; ++attempt) {
    if (unlinkat(parent_.get(), name_.c_str(), AT_REMOVEDIR) == 0 || errno != EBUSY) break;
    usleep(1000);
  }
  parent_.reset();
}

Result<CgroupTree> CgroupTree::Open(UniqueFd delegated) {
  CgroupTree tree;
  const std::string available =
      " " + Line(KRUX_TRY(ReadFileAt(delegated.get(), "cgroup.controllers", 4096))) + " ";
  for (const char* controller : kControllers) {
    const bool there = available.find(std::string(" ") + controller + " ") != std::string::npos;
    if (!there ||
        !WriteFileAt(delegated.get(), "cgroup.subtree_control", std::string("+") + controller)) {
      tree.missing_.emplace_back(controller);
    }
  }
  tree.dir_ = std::move(delegated);
  return tree;
}

bool CgroupTree::Has(std::string_view controller) const {
  return std::find(missing_.begin(), missing_.end(), controller) == missing_.end();
}

cbor::Map CgroupTree::ExpectedLimits(const Limits& limits) const {
  cbor::Map expected;
  if (Has("memory")) {
    expected.Set("memory.max", std::to_string(WholePages(limits.memory_bytes)));
    expected.Set("memory.oom.group", "1");
    if (Exists(dir_.get(), "memory.swap.max")) expected.Set("memory.swap.max", "0");
  }
  if (Has("pids")) expected.Set("pids.max", std::to_string(limits.pids));
  if (Has("cpu")) expected.Set("cpu.max", std::to_string(limits.cpu_quota_us) + " 100000");
  return expected;
}

Result<CgroupLeaf> CgroupTree::MakeLeaf(const std::string& name, const Limits& limits) const {
  CgroupLeaf leaf;
  leaf.parent_ = UniqueFd(fcntl(dir_.get(), F_DUPFD_CLOEXEC, 0));
  leaf.name_ = name;
  if (mkdirat(dir_.get(), name.c_str(), 0755) != 0)
    return SysError(ExitCode::kSandbox, "make cgroup leaf", errno);
  leaf.dir_ = UniqueFd(openat(dir_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!leaf.dir_.valid()) return SysError(ExitCode::kSandbox, "open cgroup leaf", errno);
  for (const auto& [file, value] : ExpectedLimits(limits)) {
    KRUX_TRY(WriteFileAt(leaf.dir_.get(), file.text()->c_str(), *value.text()));
  }
  return leaf;
}

}  // namespace krux::sandbox
