#include "sandbox/measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iterator>
#include <memory>

#include "base/cutter.h"
#include "sandbox/nftables.h"
#include "sandbox/template.h"
#include "sandbox/template_check.h"

namespace krux::sandbox {
namespace {

std::string Squeeze(const std::string& text) {
  Cutter words(text);
  std::string out;
  for (std::string_view word = words.Word(); !word.empty(); word = words.Word()) {
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

// The value of "Name:\t…" in /proc/<pid>/status.
std::string StatusLine(const std::string& status, const char* name) {
  const std::string key = std::string("\n") + name + ":";
  const size_t at = status.find(key);
  if (at == std::string::npos) return "?";
  const size_t end = status.find('\n', at + 1);
  return Squeeze(status.substr(at + key.size(), end - at - key.size()));
}

class Comparison {
 public:
  Comparison(const Expected& expected, Measured& out) : expected_(expected), out_(out) {}

  void Record(const char* field, cbor::Value value, Evidence evidence) {
    out_.receipt[field] = ReceiptField{std::move(value), evidence};
  }
  void Require(bool holds, Layer layer, const std::string& message) {
    if (!holds && !out_.mismatch) out_.mismatch = Mismatch{Name(layer), message, false};
  }
  void Equal(Layer layer, const char* what, const std::string& wanted, const std::string& got) {
    Require(wanted == got, layer,
            std::string(what) + ": expected `" + wanted + "`, measured `" + got + "`");
  }

  void Status(const std::string& status);
  void Maps(int dir);
  void Namespaces(int dir);
  void Mounts(int dir);
  void CompareMounts(const std::vector<std::string>& mounts);
  void Cgroup(int dir, const CgroupLeaf& leaf);
  void Rlimits(pid_t pid);
  void Fds(int dir);
  void Nftables(int netlink_fd);
  void Probes(const ChildMessage& probes);

 private:
  const Expected& expected_;
  Measured& out_;
};

void Comparison::Status(const std::string& status) {
  const std::string id = std::to_string(expected_.seen_uid);
  const std::string ids = id + " " + id + " " + id + " " + id;
  Record("ids", cbor::Map{{"uid", StatusLine(status, "Uid")}, {"gid", StatusLine(status, "Gid")}},
         Evidence::kKernel);
  Equal(Layer::kUser, "uid", ids, StatusLine(status, "Uid"));
  Equal(Layer::kUser, "gid", ids, StatusLine(status, "Gid"));

  std::string groups;
  for (const uint32_t group : expected_.groups)
    groups += (groups.empty() ? "" : " ") + std::to_string(group);
  Record("groups", StatusLine(status, "Groups"), Evidence::kKernel);
  Equal(Layer::kUser, "groups", groups, StatusLine(status, "Groups"));

  cbor::Map caps;
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    const std::string value = StatusLine(status, set);
    caps.Set(set, value);
    Equal(Layer::kCaps, set, "0000000000000000", value);
  }
  Record("caps", std::move(caps), Evidence::kKernel);
  Record("no_new_privs", StatusLine(status, "NoNewPrivs"), Evidence::kKernel);
  Equal(Layer::kNoNewPrivs, "no_new_privs", "1", StatusLine(status, "NoNewPrivs"));
  Record("seccomp_mode", StatusLine(status, "Seccomp"), Evidence::kKernel);
  Equal(Layer::kSeccomp, "seccomp mode", "2", StatusLine(status, "Seccomp"));
  Record("seccomp_filters", StatusLine(status, "Seccomp_filters"), Evidence::kKernel);
  Equal(Layer::kSeccomp, "seccomp filters", std::to_string(expected_.seccomp_filters),
        StatusLine(status, "Seccomp_filters"));
}

void Comparison::Maps(int dir) {
  for (const char* file : {"uid_map", "gid_map"}) {
    const Result<std::string> text = ReadFileAt(dir, file);
    const std::string map = text ? Squeeze(*text) : "unreadable";
    Record(file, map, Evidence::kKernel);
    Equal(Layer::kUser, file, expected_.id_map, map);
  }
}

void Comparison::Namespaces(int dir) {
  const Result<NamespaceIds> ids = ReadNamespaceIds(dir);
  cbor::Map map;
  for (size_t i = 0; i < kNamespaces.size(); ++i) {
    const uint64_t id = ids ? (*ids)[i] : 0;
    map.Set(kNamespaces[i].name, id);
    Require(id != 0 && id != expected_.outside[i] && id != expected_.template_mount_ns,
            static_cast<Layer>(kNamespaces[i].layer),
            std::string(kNamespaces[i].name) + " namespace is not the call's own");
  }
  Record("namespaces", std::move(map), Evidence::kKernel);
}

void Comparison::Mounts(int dir) {
  const Result<std::string> text = ReadFileAt(dir, "mountinfo");
  const std::vector<std::string> mounts =
      text ? NormaliseMountinfo(*text) : std::vector<std::string>{"unreadable"};
  // A record has room for a normal tree; of a WORK with very many mounts below it only the count
  // stands.
  constexpr size_t kListed = 64, kListedBytes = 16 * 1024;
  size_t bytes = 0;
  uint64_t masks = 0;
  for (const std::string& mount : mounts) {
    bytes += mount.size();
    if (expected_.masks > 0 && IsMaskLine(mount, expected_.work_path)) ++masks;
  }
  const bool listed = mounts.size() <= kListed && bytes <= kListedBytes;
  cbor::Array list;
  for (size_t i = 0; i < mounts.size() && listed; ++i) list.emplace_back(mounts[i]);
  if (!listed) list.emplace_back(std::to_string(mounts.size()) + " mounts");
  Record("mounts", std::move(list), Evidence::kKernel);
  Record("masks", masks, Evidence::kKernel);
  if (mounts != expected_.mounts) CompareMounts(mounts);
}

// Both lists are sorted.
void Comparison::CompareMounts(const std::vector<std::string>& mounts) {
  std::vector<std::string> unexpected, missing;
  std::set_difference(mounts.begin(), mounts.end(), expected_.mounts.begin(),
                      expected_.mounts.end(), std::back_inserter(unexpected));
  std::set_difference(expected_.mounts.begin(), expected_.mounts.end(), mounts.begin(),
                      mounts.end(), std::back_inserter(missing));
  if (!unexpected.empty())
    return Require(false, Layer::kMount, "unexpected mount `" + unexpected[0] + "`");
  const bool clean = !out_.mismatch.has_value();
  const bool stale = expected_.masks > 0 &&
                     std::all_of(missing.begin(), missing.end(), [&](const std::string& mount) {
                       return IsMaskLine(mount, expected_.work_path);
                     });
  Require(false, Layer::kMount,
          stale ? "the mask over a secret is gone" : "a mount of the template is missing");
  if (clean) out_.mismatch->stale_masks = stale;
}

void Comparison::Cgroup(int dir, const CgroupLeaf& leaf) {
  if (expected_.cgroup_name.empty()) {
    Record("cgroup", nullptr, Evidence::kKernel);
    return;
  }
  const Result<std::string> text = ReadFileAt(dir, "cgroup");
  std::string path = "unreadable";
  if (const size_t at = text ? text->find("0::") : std::string::npos; at != std::string::npos) {
    path = Squeeze(text->substr(at + 3, text->find('\n', at) - at - 3));
  }
  Record("cgroup", path, Evidence::kKernel);
  const std::string& name = expected_.cgroup_name;
  Require(path.size() > name.size() &&
              path.compare(path.size() - name.size() - 1, std::string::npos, "/" + name) == 0,
          Layer::kCgroup, "cgroup: expected leaf `" + name + "`, measured `" + path + "`");
  const cbor::Map limits = leaf.ReadLimits();
  Record("cgroup_limits", limits, Evidence::kKernel);
  for (const auto& [file, value] : expected_.cgroup_limits) {
    const cbor::Value* got = limits.Find(file);
    Equal(Layer::kCgroup, file.text()->c_str(), *value.text(),
          got != nullptr ? *got->text() : "absent");
  }
}

void Comparison::Rlimits(pid_t pid) {
  cbor::Map map;
  for (const RlimitEntry& entry : expected_.rlimits) {
    struct rlimit got{};
    const bool read =
        prlimit(pid, static_cast<__rlimit_resource>(entry.resource), nullptr, &got) == 0;
    map.Set(entry.name, static_cast<uint64_t>(got.rlim_max));
    Require(read && got.rlim_max <= entry.value && got.rlim_cur <= entry.value, Layer::kRlimits,
            std::string("rlimit ") + entry.name + " is wider than specified");
  }
  Record("rlimits", std::move(map), Evidence::kKernel);
}

void Comparison::Fds(int dir) {
  std::vector<uint64_t> fds;
  const int fd = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (const std::unique_ptr<DIR, int (*)(DIR*)> list(fd >= 0 ? fdopendir(fd) : nullptr, closedir);
      list != nullptr) {
    while (const dirent* entry = readdir(list.get())) {
      if (entry->d_name[0] != '.') fds.push_back(std::strtoull(entry->d_name, nullptr, 10));
    }
  }
  std::sort(fds.begin(), fds.end());
  cbor::Array array;
  bool expected = fds.size() == static_cast<size_t>(expected_.fds);
  for (size_t i = 0; i < fds.size(); ++i) {
    expected = expected && fds[i] == i;
    array.emplace_back(fds[i]);
  }
  Record("fds", std::move(array), Evidence::kKernel);
  Require(expected, Layer::kFds,
          "open descriptors are not exactly 0 to " + std::to_string(expected_.fds - 1));
}

void Comparison::Nftables(int netlink_fd) {
  const Result<cbor::Value> dump =
      netlink_fd >= 0 ? DumpNft(netlink_fd)
                      : Fail(ExitCode::kSandbox, "nftables", "no netlink socket came out");
  if (dump) Record("nftables", *dump, Evidence::kKernel);
  Require(
      dump && NftMatches(*dump), Layer::kNftables,
      dump ? "the network namespace does not hold the default-drop table" : dump.error().message);
}

void Comparison::Probes(const ChildMessage& probes) {
  const auto failed = [](int error) {
    return std::string(": probe answered ") + std::to_string(error);
  };
  const cbor::Bytes digest(probes.digest, probes.digest + kFilterDigestBytes);
  Record("seccomp_digest", digest, Evidence::kProbe);
  Require(probes.digest_error == 0 &&
              std::memcmp(probes.digest, expected_.filter->digest, kFilterDigestBytes) == 0,
          Layer::kSeccomp, "the loaded filter is not the specified one");
  Record("socket", probes.socket_refused, Evidence::kProbe);
  Require(probes.socket_refused == 0, Layer::kSeccomp,
          "socket(2) is not refused" + failed(probes.socket_refused));
  Record("landlock_abi", expected_.landlock_abi, Evidence::kKernel);
  Record("landlock_canary", probes.canary, Evidence::kProbe);
  Require(probes.canary == 0, Layer::kLandlock, "an ungranted file opens" + failed(probes.canary));
  Record("landlock_granted", probes.granted, Evidence::kProbe);
  Require(probes.granted == 0, Layer::kLandlock,
          "a granted path does not open" + failed(probes.granted));
  cbor::Array unprovable;
  if (expected_.landlock_abi >= 4) {
    Record("landlock_tcp", probes.tcp, Evidence::kProbe);
    Require(probes.tcp == 0, Layer::kLandlock, "TCP is not refused" + failed(probes.tcp));
  } else {
    unprovable.emplace_back("landlock_tcp");
  }
  if (expected_.landlock_abi >= 6) {
    Record("landlock_scope", probes.abstract, Evidence::kProbe);
    Require(probes.abstract == 0, Layer::kLandlock,
            "abstract sockets are not refused" + failed(probes.abstract));
  } else {
    unprovable.emplace_back("landlock_scope");
  }
  Record("unprovable", std::move(unprovable), Evidence::kKernel);
  Record("securebits", probes.self.securebits, Evidence::kSelf);
  Require(probes.self.securebits == ExpectedSecurebits(), Layer::kCaps,
          "securebits are not locked");
  Record("pdeathsig", probes.self.parent_death_signal, Evidence::kSelf);
  Require(probes.self.parent_death_signal == SIGKILL, Layer::kPid,
          "the worker would outlive krux-spawnd");
  Record("dumpable", probes.self.dumpable, Evidence::kSelf);
  Require(probes.self.dumpable == 0, Layer::kCaps, "the worker is dumpable");
}

}  // namespace

Measured Measure(const Expected& expected, pid_t pid, int proc_pid_fd, int netlink_fd,
                 const CgroupLeaf& leaf, const ChildMessage& probes) {
  Measured out;
  Comparison compare(expected, out);
  const Result<std::string> status = ReadFileAt(proc_pid_fd, "status");
  compare.Namespaces(proc_pid_fd);
  compare.Status(status ? *status : "");
  compare.Maps(proc_pid_fd);
  compare.Mounts(proc_pid_fd);
  compare.Cgroup(proc_pid_fd, leaf);
  compare.Rlimits(pid);
  compare.Fds(proc_pid_fd);
  compare.Nftables(netlink_fd);
  compare.Probes(probes);
  compare.Record("idmap", expected.idmap, Evidence::kKernel);
  return out;
}

}  // namespace krux::sandbox
