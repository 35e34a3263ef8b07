#include "gateway/supervisor/generation.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <utility>
#include <vector>

#include "base/log.h"
#include "gateway/bounds.h"
#include "gateway/supervisor_message.h"

namespace krux::gateway {
namespace {

std::string FdWord(int fd) { return std::to_string(fd); }

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

}  // namespace

Generation::Generation(EventLoop& loop, Ground& ground, Callbacks callbacks)
    : loop_(loop), ground_(ground), callbacks_(std::move(callbacks)) {}

Generation::~Generation() { KillAll(); }

Result<void> Generation::Start() {
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return SysError(ExitCode::kInternal, "pipe2", errno);
  const UniqueFd lifeline(pipe_fds[0]);
  lifeline_ = UniqueFd(pipe_fds[1]);
  const auto [kruxd_audit, auditd] = KRUX_TRY(Channel::Pair());
  const auto [kruxd_spawn, spawnd] = KRUX_TRY(Channel::Pair());
  const auto [spawnd_mount, mountd] = KRUX_TRY(Channel::Pair());
  auto [control, kruxd_control] = KRUX_TRY(Channel::Pair());
  control_ = std::move(control);
  KRUX_TRY(control_.SetNonBlocking(true));
  control_source_ =
      KRUX_TRY(loop_.AddIo(control_.fd(), EPOLLIN, [this](uint32_t) { OnControl(); }));
  KRUX_TRY(StartAuditd(auditd.fd(), lifeline.get()));
  KRUX_TRY(StartMountd(mountd.fd(), lifeline.get()));
  KRUX_TRY(StartSpawnd(spawnd.fd(), spawnd_mount.fd(), lifeline.get()));
  KRUX_TRY(StartKruxd(kruxd_audit.fd(), kruxd_spawn.fd(), kruxd_control.fd(), lifeline.get()));
  // Our copies of the daemons' ends close here: from now on a dead daemon is an EOF to its peers.
  return {};
}

Result<void> Generation::StartOne(Role role, std::vector<std::string> arguments,
                                  std::vector<int> inherit, uid_t id, int cgroup) {
  Slot& slot = slots_[role];
  slot.daemon = KRUX_TRY(StartDaemon({.name = kNames[role],
                                      .program = ground_.programs[role].get(),
                                      .arguments = std::move(arguments),
                                      .inherit = std::move(inherit),
                                      .id = id,
                                      .log = ground_.log.get(),
                                      .cgroup = cgroup,
                                      // Stopped or not, the log's writer is to finish and sign.
                                      .orphan_signal = role == kAuditd ? SIGCONT : SIGKILL}));
  slot.running = true;
  // A pidfd becomes readable when its process has ended, pidfd_open(2).
  slot.exit = KRUX_TRY(
      loop_.AddIo(slot.daemon.pidfd.fd(), EPOLLIN, [this, role](uint32_t) { OnExit(role); }));
  return {};
}

Result<void> Generation::StartAuditd(int channel, int lifeline) {
  std::vector<std::string> arguments{"--channel-fd", FdWord(channel), "--lifeline-fd",
                                     FdWord(lifeline)};
  std::vector<int> inherit{channel, lifeline};
  const GatewayPaths& paths = ground_.options->paths;
  if (ground_.root) {
    // By descriptor: krux-auditd owns these folders but cannot walk to them through root's own.
    // "/." because it refuses a log folder that is a link, which /proc/self/fd/N is.
    const std::string by_fd = "/proc/self/fd/";
    arguments.insert(arguments.end(),
                     {"--log-dir", by_fd + FdWord(ground_.audit_dir.get()) + "/.", "--pub",
                      by_fd + FdWord(ground_.public_key_dir.get()) + "/audit.pub"});
    inherit.insert(inherit.end(), {ground_.audit_dir.get(), ground_.public_key_dir.get()});
  } else {
    arguments.insert(arguments.end(),
                     {"--log-dir", paths.audit_dir, "--pub", paths.audit_public_key});
  }
  return StartOne(kAuditd, std::move(arguments), std::move(inherit), ground_.ids.audit);
}

Result<void> Generation::StartMountd(int channel, int lifeline) {
  const GatewayPaths& paths = ground_.options->paths;
  return StartOne(kMountd,
                  {"--channel-fd", FdWord(channel), "--lifeline-fd", FdWord(lifeline),
                   "--worker-id", std::to_string(ground_.ids.worker), "--protect", paths.state_dir,
                   "--protect", paths.runtime_dir, "--protect",
                   paths.config_file.substr(0, paths.config_file.rfind('/') + 1)},
                  {channel, lifeline}, geteuid());
}

Result<void> Generation::StartSpawnd(int channel, int mount, int lifeline) {
  std::vector<std::string> arguments{
      "--channel-fd",  FdWord(channel),  "--mount-fd",  FdWord(mount),
      "--lifeline-fd", FdWord(lifeline), "--worker-id", std::to_string(ground_.ids.worker)};
  std::vector<int> inherit{channel, mount, lifeline};
  if (!ground_.root) arguments.emplace_back("--rootless");
  if (ground_.cgroup.valid()) {
    arguments.insert(arguments.end(), {"--cgroup-fd", FdWord(ground_.cgroup.fd())});
    inherit.push_back(ground_.cgroup.fd());
  }
  return StartOne(kSpawnd, std::move(arguments), std::move(inherit), ground_.ids.spawn,
                  ground_.cgroup.spawnd_fd());
}

Result<void> Generation::StartKruxd(int audit, int spawn, int control, int lifeline) {
  const GatewayOptions& options = *ground_.options;
  const int gateway = ground_.gateway_listener.get();
  const int admin = ground_.admin_listener.get();
  std::vector<std::string> arguments{"--gateway-fd",  FdWord(gateway),
                                     "--admin-fd",    FdWord(admin),
                                     "--audit-fd",    FdWord(audit),
                                     "--spawn-fd",    FdWord(spawn),
                                     "--lifeline-fd", FdWord(lifeline),
                                     "--control-fd",  FdWord(control),
                                     "--mode",        ground_.root ? "embedded" : "rootless",
                                     "--owner-uid",   std::to_string(geteuid()),
                                     "--ceiling",     options.ceiling,
                                     "--worker-id",   std::to_string(ground_.ids.worker)};
  if (!options.limits.empty()) arguments.insert(arguments.end(), {"--limits", options.limits});
  if (!options.allow_degraded.empty()) {
    arguments.insert(arguments.end(), {"--degraded", Joined(options.allow_degraded)});
  }
  std::vector<int> inherit{gateway, admin, audit, spawn, control, lifeline};
  if (ground_.policies.valid()) {
    arguments.insert(arguments.end(), {"--policies-fd", FdWord(ground_.policies.get())});
    inherit.push_back(ground_.policies.get());
  }
  if (ground_.policy_epoch != 0)
    arguments.insert(arguments.end(), {"--policy-epoch", std::to_string(ground_.policy_epoch)});
  return StartOne(kKruxd, std::move(arguments), std::move(inherit), ground_.ids.kruxd);
}

void Generation::OnControl() {
  while (true) {
    auto packet = control_.Receive(0);
    if (!packet && packet.error().sys_errno == EAGAIN) return;
    if (!packet || packet->eof) {
      control_source_.Reset();  // OnExit says the rest
      return;
    }
    const auto message = DecodeSupervisorMessage(packet->bytes);
    if (!message) {
      Log(LogLevel::kError, "krux-supervisor", "kruxd said: " + message.error().message);
      continue;
    }
    switch (message->type) {
      case SupervisorMessage::Type::kReady:
        callbacks_.on_ready();
        break;
      case SupervisorMessage::Type::kClients:
        callbacks_.on_clients(message->count);
        break;
      case SupervisorMessage::Type::kStop:
        callbacks_.on_stop();
        break;
      case SupervisorMessage::Type::kAlive:
        callbacks_.on_alive();
        break;
      case SupervisorMessage::Type::kSilent:
        for (const Role role : {kAuditd, kMountd, kSpawnd}) {
          if (message->daemon == kNames[role]) callbacks_.on_silent(role);
        }
        break;
      case SupervisorMessage::Type::kReload:
        callbacks_.on_reload(message->tag);
        break;
      case SupervisorMessage::Type::kInForce:
        callbacks_.on_in_force(message->epoch);
        break;
    }
  }
}

bool Generation::Tell(const PoliciesMessage& message, const UniqueFd& parcel) {
  const int fds[] = {parcel.get()};
  const auto with = parcel.valid() ? std::span<const int>(fds) : std::span<const int>();
  return control_.valid() && control_.Send(Encode(message), with).has_value();
}

bool Generation::Kill(Role role) {
  const Slot& slot = slots_[role];
  if (!slot.running) return false;
  std::ifstream file("/proc/" + std::to_string(slot.daemon.pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t name_ends = line.rfind(')');  // the name before it may hold anything
  if (name_ends != std::string::npos && line.compare(name_ends, 3, ") D") == 0) return false;
  Log(LogLevel::kError, "krux-supervisor", slot.daemon.name + " hangs and is killed");
  return slot.daemon.pidfd.Kill(SIGKILL).has_value();
}

void Generation::OnExit(Role role) {
  // What it said before it died counts: that policies are in force outlives it.
  if (role == kKruxd && control_source_.active()) OnControl();
  Slot& slot = slots_[role];
  slot.exit.Reset();
  slot.running = false;
  const auto report = slot.daemon.pidfd.Wait();
  const int status = !report ? 128 : report->signaled ? 128 + report->status : report->status;
  // krux-spawnd says it of its second process by its status. Ours are SIGTERM, and SIGKILL for what
  // does not go.
  killed_ |= status > 128 && status != 128 + SIGTERM && !escalated_;
  if (!ending_) {
    follower_only_ = status == 0;
    callbacks_.on_death(role, status);
    return;
  }
  // A daemon whose channel closes leaves with 0, and may be gone for good before the one that
  // closed it (do_exit closes descriptors first): the one with something to say is the reason.
  if (follower_only_ && status != 0 && status != 128 + SIGTERM && !escalated_) {
    follower_only_ = false;
    callbacks_.on_death(role, status);
  }
  if (role == kKruxd && !others_told_) EndOthers();
  if (!AnyRunning()) {
    escalation_.Reset();
    callbacks_.on_ended();
  }
}

void Generation::End(bool in_order) {
  if (ending_) return;
  ending_ = true;
  if (!AnyRunning()) {
    auto deferred = loop_.AddDefer([this] { callbacks_.on_ended(); });
    if (deferred) escalation_ = std::move(*deferred);
    return;
  }
  if (!in_order || !slots_[kKruxd].running) {
    EndOthers();
    return;
  }
  (void)slots_[kKruxd].daemon.pidfd.Kill(SIGTERM);
  auto timer = loop_.AddTimer(kDrainMs * 1'000, [this] { EndOthers(); });
  if (timer) escalation_ = std::move(*timer);
}

// The lifeline and not a signal: krux-spawnd ends its workers and waits for them, krux-auditd
// signs.
void Generation::EndOthers() {
  others_told_ = true;
  lifeline_.reset();
  auto timer = loop_.AddTimer(kEndMs * 1'000, [this] {
    escalated_ = true;
    for (const Slot& slot : slots_) {
      if (!slot.running) continue;
      Log(LogLevel::kWarning, "krux-supervisor",
          slot.daemon.name + " did not end in time and is killed");
      (void)slot.daemon.pidfd.Kill(SIGKILL);
    }
  });
  if (timer) escalation_ = std::move(*timer);
}

void Generation::KillAll() {
  for (Slot& slot : slots_) {
    if (!slot.running) continue;
    slot.exit.Reset();
    slot.running = false;
    (void)slot.daemon.pidfd.Kill(SIGKILL);
    (void)slot.daemon.pidfd.Wait();
  }
}

bool Generation::AnyRunning() const {
  for (const Slot& slot : slots_) {
    if (slot.running) return true;
  }
  return false;
}

}  // namespace krux::gateway
