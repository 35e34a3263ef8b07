#include "tests/sandbox/spawnd_harness.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/clock.h"
#include "base/sealed_memfd.h"
#include "sandbox/namespaces.h"
#include "sandbox/result.h"

namespace krux::sandbox {
namespace {

// The cgroup2 mount of this host, empty if there is none.
std::string CgroupMount() {
  std::ifstream mounts("/proc/self/mounts");
  std::string device, point, type, rest;
  while (mounts >> device >> point >> type && std::getline(mounts, rest)) {
    if (type == "cgroup2") return point;
  }
  return "";
}

[[noreturn]] void Exec(uint32_t id, const std::string& program, std::vector<std::string> args,
                       const std::vector<int>& keep, int out = -1) {
  if (out >= 0) dup2(out, STDOUT_FILENO);
  if (geteuid() == 0 && id != 0) {
    if (setgroups(0, nullptr) != 0 || setresgid(id, id, id) != 0 || setresuid(id, id, id) != 0)
      _exit(99);
  }
  for (const int fd : keep) fcntl(fd, F_SETFD, 0);
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  _exit(99);
}

}  // namespace

cbor::Bytes FreshId() {
  cbor::Bytes id(16);
  SystemRandom().Fill(id);
  return id;
}

ScratchDir::ScratchDir(uint32_t uid) : uid_(uid) {
  char name[] = "/var/tmp/krux-test-XXXXXX";
  path_ = mkdtemp(name);
  chmod(path_.c_str(), 0755);
  if (geteuid() == 0 && chown(path_.c_str(), uid, uid) != 0) std::abort();
}

ScratchDir::~ScratchDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void ScratchDir::Write(const std::string& name, const std::string& text, unsigned mode) const {
  const std::string path = path_ + "/" + name;
  std::ofstream(path, std::ios::binary) << text;
  chmod(path.c_str(), mode);
  if (geteuid() == 0 && chown(path.c_str(), uid_, uid_) != 0) std::abort();
}

Result<std::unique_ptr<SpawndHarness>> SpawndHarness::Start(const HarnessOptions& options) {
  std::unique_ptr<SpawndHarness> harness(new SpawndHarness);
  harness->client_uid_ = options.rootless ? kRootlessId : options.client_uid;
  auto [client_end, spawnd_end] = KRUX_TRY(Channel::Pair());
  auto [to_mountd, mountd_end] = KRUX_TRY(Channel::Pair());
  int life[2];
  if (pipe2(life, O_CLOEXEC) != 0) return SysError(ExitCode::kInternal, "pipe", errno);
  const UniqueFd life_read(life[0]);
  harness->lifeline_ = UniqueFd(life[1]);

  UniqueFd delegated, spawnd_leaf;
  if (!options.rootless) {
    harness->cgroup_ =
        CgroupMount() + "/krux-test-" + std::to_string(getpid()) + "-" + std::to_string(life[0]);
    const std::string leaf = harness->cgroup_ + "/spawnd";
    mkdir(harness->cgroup_.c_str(), 0755);
    mkdir(leaf.c_str(), 0755);
    for (const std::string& file :
         {harness->cgroup_, harness->cgroup_ + "/cgroup.procs",
          harness->cgroup_ + "/cgroup.subtree_control", leaf, leaf + "/cgroup.procs"}) {
      if (chown(file.c_str(), kSpawnId, kSpawnId) != 0)
        return SysError(ExitCode::kInternal, file, errno);
    }
    delegated = UniqueFd(open(harness->cgroup_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    spawnd_leaf = UniqueFd(open(leaf.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const std::string have = " " + KRUX_TRY(ReadFileAt(delegated.get(), "cgroup.controllers"));
    for (const char* controller : {"memory", "pids", "cpu"}) {
      if (have.find(std::string(" ") + controller) == std::string::npos)
        harness->degraded_ = Bit(Layer::kCgroup);
    }
  } else {
    harness->degraded_ = Bit(Layer::kCgroup);
  }

  const uint32_t worker = options.rootless ? kRootlessId : kWorkerId;
  Cloned mountd = KRUX_TRY(CloneProcess(0, -1));
  if (mountd.pid == 0) {
    std::vector<std::string> args = {"--channel-fd",  std::to_string(mountd_end.fd()),
                                     "--lifeline-fd", std::to_string(life_read.get()),
                                     "--worker-id",   std::to_string(worker)};
    for (const std::string& dir : options.protected_dirs) {
      args.push_back("--protect");
      args.push_back(dir);
    }
    args.insert(args.end(), options.mountd_flags.begin(), options.mountd_flags.end());
    Exec(options.rootless ? kRootlessId : 0, options.hooks ? KRUX_MOUNTD_HOOKS : KRUX_MOUNTD, args,
         {mountd_end.fd(), life_read.get()});
  }
  Cloned spawnd = KRUX_TRY(CloneProcess(0, spawnd_leaf.get()));
  if (spawnd.pid == 0) {
    std::vector<std::string> args = {"--channel-fd",  std::to_string(spawnd_end.fd()),
                                     "--mount-fd",    std::to_string(to_mountd.fd()),
                                     "--lifeline-fd", std::to_string(life_read.get())};
    std::vector<int> keep = {spawnd_end.fd(), to_mountd.fd(), life_read.get()};
    if (options.rootless) {
      args.push_back("--rootless");
    } else {
      args.push_back("--cgroup-fd");
      args.push_back(std::to_string(delegated.get()));
      keep.push_back(delegated.get());
    }
    args.insert(args.end(), options.spawnd_flags.begin(), options.spawnd_flags.end());
    Exec(options.rootless ? kRootlessId : kSpawnId, options.hooks ? KRUX_SPAWND_HOOKS : KRUX_SPAWND,
         args, keep, options.spawnd_stdout);
  }
  harness->mountd_pid_ = mountd.pid;
  harness->spawnd_pid_ = spawnd.pid;
  harness->mountd_ = Pidfd(std::move(mountd.pidfd));
  harness->spawnd_ = Pidfd(std::move(spawnd.pidfd));
  harness->client_ = std::make_unique<SpawnClient>(std::move(client_end));
  return harness;
}

SpawndHarness::~SpawndHarness() {
  client_.reset();
  lifeline_.reset();
  for (const Pidfd* process : {&spawnd_, &mountd_}) {
    if (!process->valid()) continue;
    pollfd p{process->fd(), POLLIN, 0};
    if (poll(&p, 1, 5000) == 0) (void)process->Kill(SIGKILL);
    (void)process->Wait();
  }
  if (cgroup_.empty()) return;
  for (int attempt = 0; attempt < 200; ++attempt) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(cgroup_, ignored)) {
      if (entry.is_directory()) rmdir(entry.path().c_str());
    }
    if (rmdir(cgroup_.c_str()) == 0 || errno == ENOENT) break;
    usleep(10'000);
  }
}

Result<Event> SpawndHarness::Wait(int deadline_ms) {
  pollfd p{client_->fd(), POLLIN, 0};
  if (poll(&p, 1, deadline_ms) <= 0) return Fail(ExitCode::kTimeout, "harness", "no event in time");
  std::optional<Event> event = KRUX_TRY(client_->Next());
  if (!event) return Fail(ExitCode::kInternal, "harness", "no event");
  return std::move(*event);
}

Result<WorkOpened> SpawndHarness::OpenWork(const std::string& dir) {
  // The credentials of a socketpair are those of its maker, at the time it is made.
  if (setegid(client_uid_) != 0 || seteuid(client_uid_) != 0)
    return SysError(ExitCode::kInternal, "seteuid", errno);
  const UniqueFd work(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const int open_errno = errno;
  auto pair = Channel::Pair();
  if (seteuid(0) != 0 || setegid(0) != 0) return SysError(ExitCode::kInternal, "seteuid", errno);
  if (!work.valid()) return SysError(ExitCode::kNotFound, dir, open_errno);
  auto [ours, theirs] = KRUX_TRY(std::move(pair));
  const uint8_t byte = 'w';
  const int fds[] = {work.get()};
  KRUX_TRY(ours.Send(std::span(&byte, 1), fds));
  KRUX_TRY(client_->OpenWork(++tag_, theirs.TakeFd()));
  Event event = KRUX_TRY(Wait());
  while (std::holds_alternative<MasksLost>(event))
    event = KRUX_TRY(Wait());  // of an older template
  if (auto* failed = std::get_if<Failed>(&event)) return std::unexpected(std::move(failed->error));
  return std::get<WorkOpened>(std::move(event));
}

Result<Spec> SpawndHarness::Prepare(const std::string& dir, WorkClass work_class, bool writable,
                                    cbor::Bytes secrets) {
  const WorkOpened work = KRUX_TRY(OpenWork(dir));
  TemplateSpec spec;
  spec.session_id = FreshId();
  spec.work_class = work_class;
  spec.work_writable = writable;
  spec.secrets = std::move(secrets);
  spec.work_exec = work_class == WorkClass::kExec;
  Spec call;
  if (work_class == WorkClass::kExec) {
    spec.program_trees = {
        "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache"};
    for (const std::string& tree : spec.program_trees)
      call.landlock.push_back({tree, true, false, true});
  }
  KRUX_TRY(client_->BuildTemplate(++tag_, spec, work.work_id));
  Event event = KRUX_TRY(Wait());
  while (std::holds_alternative<MasksLost>(event))
    event = KRUX_TRY(Wait());  // of an older template
  if (auto* failed = std::get_if<Failed>(&event)) return std::unexpected(std::move(failed->error));
  call.call_id = FreshId();
  call.session_id = spec.session_id;
  call.work_class = work_class;
  call.landlock.insert(call.landlock.begin(), PathRule{work.path, true, writable, spec.work_exec});
  call.degraded = degraded_;
  call.required = kAllLayers & ~degraded_;
  call.limits.memory_bytes = 2ull << 30;
  return call;
}

Result<Event> SpawndHarness::RunToEnd(const Spec& spec, Receipt* receipt, int deadline_ms) {
  KRUX_TRY(client_->Spawn(spec));
  Event event = KRUX_TRY(Wait());
  if (auto* ready = std::get_if<Ready>(&event)) {
    if (receipt != nullptr) *receipt = ready->receipt;
    KRUX_TRY(client_->Go(spec.call_id));
    return Wait(deadline_ms);
  }
  return event;
}

namespace {

bool ReadHeader(const Done& done, SealedMemfd& memfd, ResultHeader& header) {
  Result<SealedMemfd> accepted =
      SealedMemfd::Accept(UniqueFd(fcntl(done.result.get(), F_DUPFD_CLOEXEC, 0)), 128ull << 20);
  if (!accepted) return false;
  memfd = std::move(*accepted);
  uint8_t bytes[sizeof(header)];
  if (!memfd.Read(0, bytes)) return false;
  std::memcpy(&header, bytes, sizeof(header));
  return header.magic == kResultMagic && header.meta_bytes <= kResultMetaMax;
}

}  // namespace

std::string ResultData(const Done& done) {
  SealedMemfd memfd;
  ResultHeader header{};
  if (!ReadHeader(done, memfd, header) || header.data_bytes > memfd.size()) return "";
  std::vector<uint8_t> data(header.data_bytes);
  if (!memfd.Read(kResultDataOffset, data)) return "";
  return std::string(data.begin(), data.end());
}

cbor::Value ResultMeta(const Done& done) {
  SealedMemfd memfd;
  ResultHeader header{};
  if (!ReadHeader(done, memfd, header)) return nullptr;
  std::vector<uint8_t> meta(header.meta_bytes);
  if (!memfd.Read(kResultMetaOffset, meta)) return nullptr;
  return cbor::Decode(meta).value_or(cbor::Value());
}

}  // namespace krux::sandbox
