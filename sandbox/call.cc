#include "sandbox/call.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/clock.h"
#include "base/path.h"
#include "base/sealed_memfd.h"
#include "sandbox/input.h"
#include "sandbox/result.h"

namespace krux::sandbox {
namespace {

constexpr uint64_t kConfineDeadlineNs = 10'000'000'000;  // from clone to Go
// From the message to the init stub to the kill of everything. The stub gives the program one
// second (runtime/worker/init_stub.cc).
constexpr uint64_t kStubDeadlineNs = 3'000'000'000;

bool Below(const std::string& path, const std::string& top) {
  return krux_path_within(top.data(), top.size(), path.data(), path.size());
}

std::string JoinNames(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

Result<void> CheckCgroup(const CallWorld& world, const Spec& spec) {
  const bool wanted =
      (spec.required & Bit(Layer::kCgroup)) != 0 && (spec.degraded & Bit(Layer::kCgroup)) == 0;
  if (world.cgroups->whole() || !wanted) return {};
  const std::string missing =
      world.cgroups->valid() ? "controllers " + JoinNames(world.cgroups->missing()) + " are missing"
                             : "no cgroup v2 leaf can be made here";
  return Fail(ExitCode::kSandbox, "cgroup",
              missing +
                  "; `krux doctor` names the fix, `krux gateway start --allow-degraded=cgroup` "
                  "goes on without");
}

Result<void> CheckLandlock(const CallWorld& world, const Spec& spec) {
  if (world.landlock_abi >= kLandlockFloor || (spec.required & Bit(Layer::kLandlock)) == 0)
    return {};
  return Fail(ExitCode::kSandbox, "landlock",
              "the kernel has no Landlock of ABI 2 or newer; run `krux doctor`");
}

// What stays alive until the child has read it: strings, rules, the plan itself. The child is a
// copy of this process, so the parent may drop it as soon as clone3 returned.
struct Prepared {
  std::vector<PathRule> rules;
  ChildPlan plan;
};

Result<void> FillRules(Prepared& prepared, const Template& t, const Spec& spec) {
  for (const PathRule& rule : spec.landlock) {
    if (std::find(t.absent.begin(), t.absent.end(), rule.path) == t.absent.end())
      prepared.rules.push_back(rule);
  }
  for (PathRule& rule : FurnitureRules(spec.work_class, t.has_proc))
    prepared.rules.push_back(std::move(rule));
  if (prepared.rules.size() > kMaxLandlockRules)
    return Fail(ExitCode::kBadData, "landlock", "too many path rules");
  for (const PathRule& rule : prepared.rules) {
    prepared.plan.rules[prepared.plan.rule_count++] = {rule.path.c_str(), rule.read, rule.write,
                                                       rule.exec};
    if (prepared.plan.granted_path == nullptr && rule.read)
      prepared.plan.granted_path = rule.path.c_str();
  }
  return {};
}

Result<void> FillContext(Prepared& prepared, const Spec& spec, int result_fd) {
  const uint64_t size = kResultDataOffset + spec.limits.result_bytes;
  void* map = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, result_fd, 0);
  if (map == MAP_FAILED) return SysError(ExitCode::kSandbox, "map result", errno);
  prepared.plan.context = WorkerContext{std::span(spec.request),
                                        spec.work_class,
                                        kResultFd,
                                        static_cast<uint8_t*>(map),
                                        spec.limits.result_bytes,
                                        spec.has_input ? kInputFd : -1,
                                        spec.input_bytes};
  return {};
}

void FillPrograms(Prepared& prepared, const Template& t) {
  if (t.spec.work_class != WorkClass::kExec) return;
  prepared.plan.mount_proc = t.has_proc;
  prepared.plan.mount_tmp = true;
  std::snprintf(prepared.plan.tmp_options, sizeof(prepared.plan.tmp_options),
                "mode=1777,size=%llu,nr_inodes=%llu,uid=1100,gid=1100",
                static_cast<unsigned long long>(t.spec.tmp_bytes),
                static_cast<unsigned long long>(t.spec.tmp_inodes));
  if (Below(t.work_path, "/tmp") && t.work_path != "/tmp")
    prepared.plan.work_below_tmp = t.work_path.c_str();
}

// Of the file system that holds `fd`; 0 where it does not count them (btrfs) or `fd` is none.
uint64_t UsedInodes(int fd) {
  struct statfs fs{};
  return fd >= 0 && fstatfs(fd, &fs) == 0 ? fs.f_files - fs.f_ffree : 0;
}

// The mounts of a call: the template's, and for programs its own /proc and /tmp (and WORK once more
// where it lies below the new /tmp).
std::vector<std::string> ExpectedMounts(const Template& t, const ChildPlan& plan) {
  std::vector<std::string> mounts = t.mounts;
  if (plan.mount_proc) {
    mounts.emplace_back(
        "/proc proc rw,nosuid,nodev,noexec,relatime / hidepid=invisible,subset=pid");
  }
  if (plan.mount_tmp) {
    // The kernel gives back the size in KiB, in whole pages.
    mounts.push_back("/tmp tmpfs rw,nosuid,nodev,relatime / size=" +
                     std::to_string((t.spec.tmp_bytes + 4095) / 4096 * 4) +
                     "k,nr_inodes=" + std::to_string(t.spec.tmp_inodes));
  }
  if (plan.work_below_tmp != nullptr) {
    const std::string work = AsInMountinfo(t.work_path);
    for (const std::string& mount : t.mounts) {
      const std::string point = mount.substr(0, mount.find(' '));
      if (Below(point, work)) mounts.push_back(mount);
    }
  }
  std::sort(mounts.begin(), mounts.end());
  return mounts;
}

}  // namespace

Result<Call> Call::Start(const CallWorld& world, const Template& t, Spec spec,
                         std::vector<UniqueFd> fds, uint64_t number) {
  const UniqueFd input = KRUX_TRY(TakeInput(spec, std::move(fds)));
  KRUX_TRY(CheckCgroup(world, spec));
  KRUX_TRY(CheckLandlock(world, spec));
  Call call;
  call.spec_ = std::move(spec);
  call.ignore_receipt_ = world.hooks.ignore_receipt;
  call.degraded_cgroup_ = !world.cgroups->whole();
  const std::string leaf_name = "call-" + std::to_string(number);
  if (world.cgroups->valid())
    call.leaf_ = KRUX_TRY(world.cgroups->MakeLeaf(leaf_name, call.spec_.limits, t.disk));
  call.result_ = KRUX_TRY(
      SealedMemfd::Create("krux-result", kResultDataOffset + call.spec_.limits.result_bytes));
  auto [ours, theirs] = KRUX_TRY(Channel::Pair());

  Prepared prepared;
  ChildPlan& plan = prepared.plan;
  plan.work_class = call.spec_.work_class;
  plan.null_fd = world.inner->null.get();
  plan.control_fd = theirs.fd();
  plan.result_fd = call.result_.get();
  plan.input_fd = input.get();
  plan.landlock_abi = world.landlock_abi;
  plan.filter = &FilterFor(call.spec_.work_class);
  plan.entry = world.entry;
  plan.rlimit_count = RlimitsFor(call.spec_.limits, call.degraded_cgroup_, plan.rlimits);
  KRUX_TRY(FillRules(prepared, t, call.spec_));
  KRUX_TRY(FillContext(prepared, call.spec_, call.result_.get()));
  FillPrograms(prepared, t);
#ifdef KRUX_TEST_HOOKS
  WeakenPlan(world.hooks, plan);
#endif

  // Enter the template, so that the child's copy of the mount tree is the root it will have.
  if (setns(t.mount_ns.get(), CLONE_NEWNS) != 0)
    return SysError(ExitCode::kSandbox, "enter template", errno);
  Result<Cloned> child =
      CloneProcess(WorkerNamespaces() & ~world.hooks.skip_namespaces, call.leaf_.fd());
  if (child && child->pid == 0) RunChild(plan);
  if (child && t.spec.work_writable) {
    call.work_ = UniqueFd(open(t.work_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  const bool returned = setns(world.inner->mount_ns.get(), CLONE_NEWNS) == 0;
  munmap(plan.context.result_map, kResultDataOffset + call.spec_.limits.result_bytes);
  if (!returned)
    _exit(ToInt(ExitCode::kSandbox));  // lost in a template: the supervisor starts anew
  // clone(2): ENOSPC is a limit of user_namespaces(7), and the one that fills up is ours.
  if (!child && child.error().sys_errno == ENOSPC) {
    return Fail(ExitCode::kBusy, "net", "too many sandboxes are still being taken down; retry");
  }
  if (!child) return std::unexpected(std::move(child.error()));

  call.pid_ = child->pid;
  call.pidfd_ = Pidfd(std::move(child->pidfd));
  call.control_ = std::move(ours);
  KRUX_TRY(call.control_.SetNonBlocking(true));
  call.deadline_ns_ = SystemClock().MonotonicNs() + kConfineDeadlineNs;
  call.started_ns_ = SystemClock().MonotonicNs();
  call.proc_dir_ = KRUX_TRY(OpenProcPid(world.inner->proc.get(), call.pid_));

  Expected& expected = call.expected_;
  expected.seen_uid = world.rootless ? 0 : kInsideId;
  expected.id_map = std::string("1100 ") + (world.rootless ? "0" : "1100") + " 1";
  expected.groups = world.groups;
  expected.outside = world.inner->outside;
  struct stat template_ns{};
  if (fstat(t.mount_ns.get(), &template_ns) == 0) expected.template_mount_ns = template_ns.st_ino;
  expected.mounts = ExpectedMounts(t, plan);
  expected.masks = t.masks;
  expected.work_path = t.work_path;
  expected.rlimits.assign(plan.rlimits, plan.rlimits + plan.rlimit_count);
  expected.seccomp_filters = world.inner->filters + 1;
  expected.filter = &FilterFor(call.spec_.work_class);
  expected.landlock_abi = world.landlock_abi;
  if (call.leaf_.valid()) {
    expected.cgroup_name = leaf_name;
    expected.cgroup_limits = call.leaf_.wanted();
  }
  expected.idmap = t.idmap;
  expected.fds = call.spec_.has_input ? kWorkerFds + 1 : kWorkerFds;

  const std::string map = expected.id_map + "\n";
  // Without a namespace of its own (test build) the child has spawnd's maps, which are written.
  const bool own_maps = (world.hooks.skip_namespaces & CLONE_NEWUSER) == 0;
  const Result<void> mapped =
      own_maps ? WriteIdMaps(call.proc_dir_.get(), map, map) : Result<void>();
  if (!mapped) {
    call.Kill(Done::End::kCancelled);
    (void)call.pidfd_.Wait();
    Error error = mapped.error();
    error.stage = "user";
    return std::unexpected(std::move(error));
  }
  const uint8_t go_on = 'm';
  KRUX_TRY(call.control_.Send(std::span(&go_on, 1)));
  return call;
}

std::optional<Event> Call::OnControl() {
  Result<Packet> packet = control_.Receive(1);
  if (!packet || packet->eof || packet->bytes.size() != sizeof(ChildMessage))
    return std::nullopt;  // its exit says more
  ChildMessage message;
  std::memcpy(&message, packet->bytes.data(), sizeof(message));
  if (stage_ != Stage::kConfining) return std::nullopt;
  switch (message.kind) {
    case ChildMessage::kNetlink:
      if (packet->fds.size() == 1) netlink_ = std::move(packet->fds[0]);
      return std::nullopt;
    case ChildMessage::kMeasured:
      return Judge(message);
    case ChildMessage::kFailed:
      break;
  }
  const uint32_t step = std::min(static_cast<uint32_t>(message.step), kStepCount - 1);
  const Step failed = static_cast<Step>(step);
  return MakeFailed(
      LayerOf(failed),
      std::string("step `") + Name(failed) + "` failed: " + strerrordesc_np(message.error),
      message.error, {});
}

std::optional<Event> Call::Judge(const ChildMessage& report) {
  Measured measured = Measure(expected_, pid_, proc_dir_.get(), netlink_.get(), leaf_, report);
  netlink_.reset();
  cbor::Array degraded;
  if (degraded_cgroup_) degraded.emplace_back("cgroup");
  measured.receipt["degraded"] = {std::move(degraded), Evidence::kKernel};
#ifdef KRUX_TEST_HOOKS
  // To show which ring stops what, a call must be able to go on without one.
  if (ignore_receipt_) measured.mismatch.reset();
#endif
  if (measured.mismatch && measured.mismatch->stale_masks) {
    return Refuse(
        {ExitCode::kSandbox, 0, kStaleTemplate, "receipt: " + measured.mismatch->message});
  }
  if (measured.mismatch) {
    return MakeFailed(measured.mismatch->layer, "receipt: " + measured.mismatch->message, 0,
                      std::move(measured.receipt));
  }
  stage_ = Stage::kReady;
  return Ready{spec_.call_id, std::move(measured.receipt), DupPidfd()};
}

Failed Call::MakeFailed(std::string layer, std::string message, int sys_errno, Receipt receipt) {
  Kill(Done::End::kCancelled);
  reported_ = true;
  return Failed{0, spec_.call_id,
                Error{ExitCode::kSandbox, sys_errno, layer,
                      layer.empty() ? std::move(message) : layer + ": " + message},
                layer, std::move(receipt)};
}

Event Call::Refuse(Error error) {
  Kill(Done::End::kCancelled);
  reported_ = true;
  return Failed{0, spec_.call_id, std::move(error), {}, {}};
}

void Call::LoseSecret(const std::string& why) {
  // Also of a call that ends for another reason by now: what it printed may hold the secret.
  Kill(Done::End::kSecretLost);
  killed_ = Done::End::kSecretLost;
  note_ = why;
}

Result<void> Call::Go(uint64_t now_ns) {
  if (stage_ != Stage::kReady) return Fail(ExitCode::kInternal, "go", "worker is not ready");
  stage_ = Stage::kRunning;
  started_ns_ = now_ns;
  deadline_ns_ = now_ns + spec_.limits.wall_ms * 1'000'000;
  work_files_ = UsedInodes(work_.get());
  const uint8_t go = 'g';
  return control_.Send(std::span(&go, 1));
}

void Call::Kill(Done::End why) {
  if (!killed_) killed_ = why;
  deadline_ns_ = UINT64_MAX;
  // The worker is pid 1 of its namespace: with it goes everything it started.
  (void)pidfd_.Kill(SIGKILL);
  leaf_.Kill();
}

void Call::Expire(uint64_t now_ns) {
  if (killed_ || stage_ != Stage::kRunning || spec_.work_class != WorkClass::kExec)
    return Kill(Done::End::kTimeout);
  killed_ = Done::End::kTimeout;
  deadline_ns_ = now_ns + kStubDeadlineNs;
  (void)pidfd_.Kill(SIGTERM);
}

UniqueFd Call::DupPidfd() const { return UniqueFd(fcntl(pidfd_.fd(), F_DUPFD_CLOEXEC, 0)); }

Event Call::OnExit(uint64_t now_ns) {
  const Result<ExitReport> report = pidfd_.Wait();
  const bool ran = stage_ == Stage::kRunning;
  const bool known = reported_;
  stage_ = Stage::kSpent;
  if (!ran && !known && !killed_) {
    Failed failed = MakeFailed("", "the worker ended before it was confined", 0, {});
    return failed;
  }
  Done done;
  done.call_id = spec_.call_id;
  done.wall_us = (now_ns - started_ns_) / 1000;
  if (report) {
    done.end = report->signaled ? Done::End::kSignaled : Done::End::kExited;
    done.status = report->status;
    done.cpu_us = report->cpu_us;
    done.max_rss_kib = report->max_rss_kib;
    done.read_bytes = report->read_bytes;
    done.written_bytes = report->written_bytes;
  }
  if (work_.valid()) done.work_files = static_cast<int64_t>(UsedInodes(work_.get()) - work_files_);
  done.pids_refused = leaf_.PidsRefused();
  if (leaf_.OomKilled()) done.end = Done::End::kOom;
  if (killed_) done.end = *killed_;
  done.note = note_;
  // INVARIANT: nobody maps the memfd any more, the worker's whole pid namespace is gone; a seal
  // that fails leaves it unsealed and the reader refuses it.
  (void)SealedMemfd::Seal(result_.get());
  done.result = std::move(result_);
  return done;
}

}  // namespace krux::sandbox
