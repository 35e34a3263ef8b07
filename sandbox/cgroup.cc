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
                                       "pids.max",   "cpu.max",          "io.max"};

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
    wanted_ = std::move(other.wanted_);
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

Result<CgroupLeaf> CgroupLeaf::Open(int parent, const std::string& name) {
  CgroupLeaf leaf;
  leaf.name_ = name;
  leaf.parent_ = UniqueFd(fcntl(parent, F_DUPFD_CLOEXEC, 0));
  leaf.dir_ = UniqueFd(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!leaf.parent_.valid() || !leaf.dir_.valid())
    return SysError(ExitCode::kSandbox, "open cgroup leaf", errno);
  return leaf;
}

Result<void> CgroupLeaf::Set(const cbor::Map& limits) {
  for (const auto& [file, value] : limits) {
    const Result<void> written = WriteFileAt(dir_.get(), file.text()->c_str(), *value.text());
    if (!written && *file.text() == "io.max") continue;
    KRUX_TRY(written);
    wanted_.Set(file, value);
  }
  return {};
}

Result<CgroupTree> CgroupTree::Open(UniqueFd delegated) {
  CgroupTree tree;
  const std::string available =
      " " + Line(KRUX_TRY(ReadFileAt(delegated.get(), "cgroup.controllers", 4096))) + " ";
  const auto enable = [&](const char* controller) {
    return available.find(std::string(" ") + controller + " ") != std::string::npos &&
           WriteFileAt(delegated.get(), "cgroup.subtree_control", std::string("+") + controller)
               .has_value();
  };
  for (const char* controller : kControllers) {
    if (!enable(controller)) tree.missing_.emplace_back(controller);
  }
  tree.io_ = enable(kIoController);
  tree.dir_ = std::move(delegated);
  return tree;
}

bool CgroupTree::Has(std::string_view controller) const {
  return std::find(missing_.begin(), missing_.end(), controller) == missing_.end();
}

cbor::Map CgroupTree::LimitFiles(const Limits& limits, const std::string& disk) const {
  cbor::Map files;
  if (Has("memory")) {
    files.Set("memory.max", std::to_string(WholePages(limits.memory_bytes)));
    files.Set("memory.oom.group", "1");
    if (Exists(dir_.get(), "memory.swap.max")) files.Set("memory.swap.max", "0");
  }
  if (Has("pids")) files.Set("pids.max", std::to_string(limits.pids));
  if (Has("cpu")) files.Set("cpu.max", std::to_string(limits.cpu_quota_us) + " 100000");
  if (io_ && !disk.empty()) {
    // In the form in which the kernel prints it.
    const std::string rate = std::to_string(limits.io_bytes);
    files.Set("io.max", disk + " rbps=" + rate + " wbps=" + rate + " riops=max wiops=max");
  }
  return files;
}

Result<CgroupLeaf> CgroupTree::MakeLeaf(const std::string& name, const Limits& limits,
                                        const std::string& disk) const {
  if (mkdirat(dir_.get(), name.c_str(), 0755) != 0)
    return SysError(ExitCode::kSandbox, "make cgroup leaf", errno);
  CgroupLeaf leaf = KRUX_TRY(CgroupLeaf::Open(dir_.get(), name));
  KRUX_TRY(leaf.Set(LimitFiles(limits, disk)));
  return leaf;
}

}  // namespace krux::sandbox
