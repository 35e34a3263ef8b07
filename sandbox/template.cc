#include "sandbox/template.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/clock.h"
#include "base/cutter.h"
#include "sandbox/namespaces.h"
#include "sandbox/setuid_scan.h"

namespace krux::sandbox {
namespace {

constexpr uint64_t kBuildDeadlineNs = 20'000'000'000;

struct TextFile {
  const char* path;
  const char* text;
};
constexpr TextFile kEtcFiles[] = {
    {"/etc/passwd",
     "root:x:0:0:root:/:/usr/sbin/nologin\nkrux:x:1100:1100:krux:/tmp:/bin/sh\n"
     "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"},
    {"/etc/group", "root:x:0:\nkrux:x:1100:\nnogroup:x:65534:\n"},
    {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"},
    {"/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"},
    {"/etc/resolv.conf", ""},
};
constexpr TextFile kDevLinks[] = {{"/dev/fd", "/proc/self/fd"},
                                  {"/dev/stdin", "/proc/self/fd/0"},
                                  {"/dev/stdout", "/proc/self/fd/1"},
                                  {"/dev/stderr", "/proc/self/fd/2"}};

Result<void> Errno(const char* stage, const std::string& detail = {}) {
  return SysError(ExitCode::kSandbox, stage, errno, detail);
}

std::string Inside(const std::string& path) { return kBuildPath + path; }

Result<void> MakeParents(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (mkdir(path.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST)
      return Errno("mkdir", path);
  }
  return {};
}

Result<void> MakeDirectory(const std::string& path) {
  KRUX_TRY(MakeParents(path));
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return Errno("mkdir", path);
  return {};
}

Result<void> MakeFile(const std::string& path, const char* text) {
  KRUX_TRY(MakeParents(path));
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!fd.valid()) return Errno("create", path);
  const size_t size = std::strlen(text);
  if (write(fd.get(), text, size) != static_cast<ssize_t>(size)) return Errno("write", path);
  return {};
}

Result<void> MakeLink(const std::string& path, const std::string& target) {
  KRUX_TRY(MakeParents(path));
  if (symlink(target.c_str(), path.c_str()) != 0) return Errno("symlink", path);
  return {};
}

Result<void> Attach(int mount_fd, const std::string& path) {
  if (move_mount(mount_fd, "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return Errno("attach", path);
  return {};
}

// A proc of a pid namespace that is already dead: it shows nothing, but its being there is what
// lets a worker mount a proc of its own over it (mount_too_revealing() in the kernel).
bool MountDecoyProc() {
  if (!MakeDirectory(Inside("/proc"))) return false;
  Result<Cloned> child = CloneProcess(CLONE_NEWPID, -1);
  if (!child) return false;
  if (child->pid == 0) {
    const int failed = mount("proc", Inside("/proc").c_str(), "proc",
                             MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2,subset=pid");
    _exit(failed == 0 ? 0 : 1);
  }
  const Result<ExitReport> report = Pidfd(std::move(child->pidfd)).Wait();
  return report && !report->signaled && report->status == 0;
}

Result<void> Furnish(bool& has_proc) {
  for (const TextFile& file : kEtcFiles) KRUX_TRY(MakeFile(Inside(file.path), file.text));
  for (const TextFile& link : kDevLinks) KRUX_TRY(MakeLink(Inside(link.path), link.text));
  KRUX_TRY(MakeDirectory(Inside("/tmp")));
  has_proc = MountDecoyProc();
  return {};
}

Result<void> AttachTrees(const mountwire::Mounts& mounts, const std::vector<UniqueFd>& fds) {
  size_t next = 1;  // fds[0] is WORK
  for (const mountwire::Mounts::Tree& tree : mounts.trees) {
    const std::string path = Inside(tree.path);
    if (tree.kind == "link") {
      KRUX_TRY(MakeLink(path, tree.target));
    } else if (tree.kind != "absent") {
      if (next >= fds.size())
        return Fail(ExitCode::kSandbox, "mount", "mountd sent too few mounts");
      KRUX_TRY(tree.kind == "dir" ? MakeDirectory(path) : MakeFile(path, ""));
      KRUX_TRY(Attach(fds[next++].get(), path));
    }
  }
  return {};
}

// What the builder made besides the tree.
struct Built {
  bool has_proc = false;
  Hidden hidden;
};

// Runs in the builder, a child with its own mount namespace. The order is the design: empty root,
// program trees, furniture, WORK last so that nothing covers it, then read-only and pivot.
Result<void> Build(const TemplateSpec& spec, const std::string& work_path,
                   const mountwire::Mounts& mounts, const std::vector<UniqueFd>& fds,
                   const WatchPlan& watch, Built& built) {
  umask(0);
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Errno("make private");
  if (mount("krux", kBuildPath, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
            "mode=0755,size=1m,nr_inodes=4096") != 0) {
    return Errno("mount root");
  }
  KRUX_TRY(MakeFile(Inside(kCanaryPath), "canary\n"));
  if (!spec.secrets.empty()) KRUX_TRY(MakeMasks(kBuildPath));
  KRUX_TRY(AttachTrees(mounts, fds));
  if (spec.work_class == WorkClass::kExec) KRUX_TRY(Furnish(built.has_proc));
  KRUX_TRY(MakeDirectory(Inside(work_path)));
  KRUX_TRY(Attach(fds[0].get(), Inside(work_path)));
  if (mount(nullptr, kBuildPath, nullptr,
            MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return Errno("make root read-only");
  }
  if (chdir(kBuildPath) != 0) return Errno("enter root");
  if (syscall(SYS_pivot_root, ".", ".") != 0) return Errno("pivot_root");
  if (umount2(".", MNT_DETACH) != 0) return Errno("detach old root");
  if (chdir("/") != 0) return Errno("enter root");
  if (spec.work_class == WorkClass::kExec && spec.work_writable)
    KRUX_TRY(RefuseSetuidFiles(work_path));
  if (!spec.secrets.empty()) built.hidden = KRUX_TRY(HideSecrets(spec, work_path, watch));
  return {};
}

Result<void> SendBuilt(const Channel& channel, const Result<void>& result, const Built& built) {
  if (!result) {
    return channel.Send(
        cbor::Encode(cbor::Map{{"errno", static_cast<unsigned>(result.error().sys_errno)},
                               {"code", ToInt(result.error().code)},
                               {"message", result.error().message}}));
  }
  const int fds[] = {built.hidden.watch.fd()};
  return channel.Send(
      cbor::Encode(cbor::Map{{"has_proc", built.has_proc}, {"masks", built.hidden.masks}}),
      built.hidden.watch.valid() ? std::span<const int>(fds) : std::span<const int>());
}

Result<void> TakeBuilt(Packet& packet, Template& made) {
  const cbor::Value value = KRUX_TRY(cbor::Decode(packet.bytes));
  cbor::MapReader r(value, "template");
  if (r.Has("message")) {
    Error error{ExitCode::kSandbox, static_cast<int>(r.Uint("errno")), "mount", r.Text("message")};
    error.code = static_cast<ExitCode>(r.Uint("code", 255));
    return std::unexpected(std::move(error));
  }
  made.has_proc = r.Boolean("has_proc");
  made.masks = r.Uint("masks", kMaxMasks);
  KRUX_TRY(r.Finish());
  if (packet.fds.size() == 1) made.watch = Channel(std::move(packet.fds[0]));
  if (made.watch.valid() == made.spec.secrets.empty())
    return Fail(ExitCode::kSandbox, "mount", "the template came without its watch");
  return {};
}

// Of the file system's own options those that bound what it shows or holds: proc(5), tmpfs(5).
std::string Bounds(std::string_view super) {
  std::string kept;
  Cutter words(super);
  while (const auto word = words.Until(',')) {
    for (const char* name : {"hidepid=", "subset=", "size=", "nr_inodes="}) {
      if (word->starts_with(name)) kept.append(kept.empty() ? " " : ",").append(*word);
    }
  }
  return kept;
}

}  // namespace

std::vector<std::string> TreesToRequest(const TemplateSpec& spec) {
  if (spec.work_class != WorkClass::kExec) return {};
  std::vector<std::string> trees = spec.program_trees;
  for (const char* node : kDeviceNodes) trees.emplace_back(node);
  return trees;
}

std::vector<PathRule> FurnitureRules(WorkClass work_class, bool has_proc) {
  if (work_class != WorkClass::kExec) return {};
  std::vector<PathRule> rules = {
      {"/etc", true, false, false}, {"/dev", true, true, false}, {"/tmp", true, true, true}};
  if (has_proc) rules.push_back({"/proc", true, false, false});
  return rules;
}

std::string AsInMountinfo(const std::string& path) {
  std::string text;
  for (const char c : path) {
    switch (c) {
      case ' ':
        text += "\\040";
        break;
      case '\t':
        text += "\\011";
        break;
      case '\n':
        text += "\\012";
        break;
      case '\\':
        text += "\\134";
        break;
      default:
        text += c;
    }
  }
  return text;
}

std::vector<std::string> NormaliseMountinfo(const std::string& mountinfo) {
  std::vector<std::string> lines;
  Cutter rows(mountinfo);
  while (const auto row = rows.Until('\n')) {
    Cutter fields(*row);
    for (int skipped = 0; skipped < 3; ++skipped) fields.Word();  // id, parent, device
    const std::string root(fields.Word()), point(fields.Word()), options(fields.Word());
    fields.SkipPast("-");
    const std::string type(fields.Word());
    fields.Word();  // source
    const std::string_view super = fields.Word();
    // Other file systems' options may change while a session lasts, by a remount on the host.
    const bool ours = type == "proc" || (type == "tmpfs" && point == "/tmp");
    lines.push_back(point + " " + type + " " + options + " " + root + (ours ? Bounds(super) : ""));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

Result<TemplateBuilder> TemplateBuilder::Start(const TemplateSpec& spec,
                                               const std::string& work_path,
                                               const mountwire::Mounts& mounts,
                                               std::vector<UniqueFd> fds, const WatchPlan& watch) {
  if (fds.empty()) return Fail(ExitCode::kSandbox, "mount", "mountd sent no work mount");
  // Without the map a new file would belong to the worker's outer id, which is nobody's.
  if (spec.work_class == WorkClass::kWrite && !watch.rootless && mounts.idmap == "none") {
    return Fail(ExitCode::kSandbox, "mount",
                "the file system of `" + work_path +
                    "` cannot map file owners, so new files would not belong to the caller; use a "
                    "work directory on another file system");
  }
  auto [ours, theirs] = KRUX_TRY(Channel::Pair());
  Cloned child = KRUX_TRY(CloneProcess(CLONE_NEWNS, -1));
  if (child.pid == 0) {
    Built built;
    const Result<void> result = Build(spec, work_path, mounts, fds, watch, built);
    (void)SendBuilt(theirs, result, built);
    for (;;)
      pause();  // the namespace is taken from /proc/<pid>/ns/mnt, then this process is killed
  }
  TemplateBuilder builder;
  builder.tag_ = mounts.tag;
  builder.deadline_ns_ = SystemClock().MonotonicNs() + kBuildDeadlineNs;
  builder.pid_ = child.pid;
  builder.pidfd_ = Pidfd(std::move(child.pidfd));
  builder.answer_ = std::move(ours);
  builder.made_.spec = spec;
  builder.made_.work_path = work_path;
  builder.made_.disk = mounts.disk;
  builder.made_.tag = mounts.tag;
  builder.made_.idmap = watch.rootless ? "child" : mounts.idmap;
  for (const mountwire::Mounts::Tree& tree : mounts.trees) {
    if (tree.kind == "absent") builder.made_.absent.push_back(tree.path);
  }
  return builder;
}

TemplateBuilder::~TemplateBuilder() {
  if (!pidfd_.valid()) return;
  (void)pidfd_.Kill(SIGKILL);
  (void)pidfd_.Wait();
}

Result<Template> TemplateBuilder::Finish(int proc_fd) {
  Result<Packet> packet = answer_.ReceiveWithin(0, 1);
  if (!packet && packet.error().code == ExitCode::kTimeout) {
    return Fail(ExitCode::kSandbox, "mount",
                "the work directory was not ready in 20 seconds; nothing ran");
  }
  if (!packet || packet->eof)
    return Fail(ExitCode::kSandbox, "mount", "the template builder ended early");
  KRUX_TRY(TakeBuilt(*packet, made_));
  const UniqueFd dir = KRUX_TRY(OpenProcPid(proc_fd, pid_));
  made_.mount_ns = UniqueFd(openat(dir.get(), "ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!made_.mount_ns.valid()) return SysError(ExitCode::kSandbox, "open mount namespace", errno);
  made_.mounts = NormaliseMountinfo(KRUX_TRY(ReadFileAt(dir.get(), "mountinfo")));
  return std::move(made_);
}

}  // namespace krux::sandbox
