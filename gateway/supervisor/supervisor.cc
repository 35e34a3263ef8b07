#include "gateway/supervisor/supervisor.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/terminal.h"
#include "gateway/bounds.h"
#include "gateway/policy_parcel.h"
#include "gateway/protocol.h"
#include "gateway/supervisor/generation.h"
#include "gateway/supervisor/ground.h"
#include "gateway/supervisor/last_words.h"
#include "gateway/supervisor/operator_config.h"
#include "gateway/supervisor/policy_folder.h"

namespace krux::gateway {
namespace {

constexpr rlim_t kWantedFiles = 8192;
constexpr uint64_t kFirstBackoffUs = 100'000;
constexpr uint64_t kLastBackoffUs = 5'000'000;
constexpr int kMaxDoublings = 7;
constexpr uint64_t kHealthyNs =
    10'000'000'000;                  // a generation that lived this long resets the back-off
constexpr int kGiveUpAfter = 5;      // generations in a row that never served
constexpr size_t kMaxReason = 4096;  // bytes of why files could not be read
constexpr int kSignalBase = 128;     // of the status of a daemon that a signal ended

constexpr const char* kProgram = "krux-supervisor";

// "ok <pid>\n" or "error <code> <message>\n" to whoever started us, once.
class ReadyPipe {
 public:
  explicit ReadyPipe(int fd) : fd_(fd) {
    if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  void Say(std::string line) {
    if (!fd_.valid()) return;
    std::replace(line.begin(), line.end(), '\n', ' ');
    line += '\n';
    [[maybe_unused]] const ssize_t written = write(fd_.get(), line.data(), line.size());
    fd_.reset();
  }
  void Fail(const Error& error) {
    Say("error " + std::to_string(ToInt(error.code)) + " " + error.message);
  }

 private:
  UniqueFd fd_;
};

// Children of a daemon that was killed come to us (PR_SET_CHILD_SUBREAPER): not every init reaps.
// Only while no daemon runs, or its exit status would be taken away.
void ReapOrphans() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const pid_t pid = waitpid(-1, nullptr, WNOHANG);
    if (pid < 0) return;
    if (pid == 0) usleep(5'000);
  }
}

class Supervisor {
 public:
  Supervisor(EventLoop& loop, const GatewayOptions& options, Ground& ground, ReadyPipe& ready)
      : loop_(loop), options_(options), ground_(ground), ready_(ready) {}

  Result<void> Run() {
    const EventSource term = KRUX_TRY(loop_.AddSignal(SIGTERM, [this] { Finish(); }));
    const EventSource interrupt = KRUX_TRY(loop_.AddSignal(SIGINT, [this] { Finish(); }));
    const EventSource hangup = KRUX_TRY(loop_.AddSignal(SIGHUP, [this] { Reload(0); }));
    StartGeneration();
    KRUX_TRY(loop_.Run());
    generation_.reset();
    if (failure_.has_value()) return std::unexpected(*failure_);
    return {};
  }

 private:
  void StartGeneration() {
    started_ns_ = SystemClock().MonotonicNs();
    mark_ = LogMark(options_.paths.gateway_log);
    clients_ = 0;
    ready_now_ = false;
    offered_.clear();
    Watch(kReadyMs);
    generation_ = std::make_unique<Generation>(
        loop_, ground_,
        Generation::Callbacks{
            .on_ready = [this] { OnReady(); },
            .on_clients = [this](uint64_t count) { OnClients(count); },
            .on_stop = [this] { Finish(); },
            .on_alive = [this] { Watch(ready_now_ ? kAliveMs : kReadyMs); },
            .on_silent = [this](Generation::Role role) { (void)generation_->Kill(role); },
            .on_reload = [this](uint64_t tag) { Reload(tag); },
            .on_in_force = [this](uint64_t epoch) { OnInForce(epoch); },
            .on_death = [this](Generation::Role role, int status) { OnDeath(role, status); },
            .on_ended = [this] { OnEnded(); }});
    if (auto started = generation_->Start(); !started) {
      failure_ = started.error();
      Log(LogLevel::kError, kProgram, started.error().message);
      finishing_ = true;
      generation_->End(false);
    }
  }

  void OnReady() {
    if (auto published = PublishKey(ground_); !published) {
      failure_ = published.error();
      Log(LogLevel::kError, kProgram, published.error().message);
      Finish();
      return;
    }
    if (!served_) ready_.Say("ok " + std::to_string(getpid()));
    served_ = true;
    ready_now_ = true;
    unready_ = 0;
    Watch(kAliveMs);
    OnClients(clients_);  // somebody may have connected before the start was durable
    if (std::exchange(reload_owed_, false)) Reload(0);
  }

  // The operator's files as they are now go to kruxd, which alone says whether they are well. They
  // are kept until then: what is in force outlives kruxd.
  void Reload(uint64_t tag) {
    if (!ready_now_) {
      reload_owed_ = true;
      return;
    }
    PoliciesMessage message{.tag = tag};
    UniqueFd parcel;
    const auto files = ReadPolicyFolder(PolicyFolder(options_.paths.config_file));
    Result<UniqueFd> packed = files ? PackPolicies(*files) : std::unexpected(files.error());
    if (packed) {
      parcel = std::move(*packed);
    } else {
      message.code = ExitCode::kConfig;
      message.message = Clip(EscapeLine(packed.error().message), kMaxReason);
      Log(LogLevel::kError, kProgram, "the policies were not read: " + message.message);
    }
    const bool whole = parcel.valid();
    if (generation_->Tell(message, parcel) && whole) offered_.push_back(std::move(parcel));
  }

  void OnInForce(uint64_t epoch) {
    if (offered_.empty()) return;
    if (epoch != 0) {
      ground_.policies = std::move(offered_.front());
      ground_.policy_epoch = epoch;
    }
    offered_.pop_front();
  }

  // A kruxd that neither serves nor says that it lives is killed; the rest is as with any death.
  void Watch(uint64_t milliseconds) {
    auto timer = loop_.AddTimer(milliseconds * 1'000, [this] {
      if (finishing_) return;
      (void)generation_->Kill(Generation::kKruxd);
      Watch(kAliveMs);
    });
    if (timer) watch_ = std::move(*timer);
  }

  void OnClients(uint64_t count) {
    clients_ = count;
    if (count > 0 || options_.keep || !served_) {
      idle_.Reset();
      return;
    }
    auto timer = loop_.AddTimer(options_.idle_seconds * 1'000'000, [this] {
      Log(LogLevel::kInfo, kProgram, "nobody is connected any more");
      Finish();
    });
    if (timer) idle_ = std::move(*timer);
  }

  void OnDeath(Generation::Role role, int status) {
    death_ = WordDeath(role, status);
    Log(LogLevel::kError, kProgram, death_.message);
    if (finishing_) return;
    if (served_ && !options_.restart) return;
    idle_.Reset();
    // kruxd first, where it still runs: it answers its clients and records how their calls ended.
    generation_->End(true);
  }

  // "krux-auditd ended with status 74: the log is damaged …", in the code that clients get.
  Error WordDeath(Generation::Role role, int status) const {
    const std::string name = Generation::kNames[role];
    ExitCode code = ExitCode::kSandbox;
    if (role == Generation::kKruxd) code = ExitCode::kUnreachable;
    if (status == ToInt(ExitCode::kConfig)) code = ExitCode::kConfig;
    if (role == Generation::kAuditd) code = ExitCode::kAudit;
    const std::string how = status >= kSignalBase
                                ? " was killed by signal " + std::to_string(status - kSignalBase)
                                : " ended with status " + std::to_string(status);
    const std::string words = mark_.LastWords(name);
    return {code, 0, name,
            name + how + (words.empty() ? "" : ": " + words) + "; see `" +
                options_.paths.gateway_log + "`"};
  }

  void OnEnded() {
    ReapOrphans();
    ground_.cgroup.RemoveLeaves();
    if (finishing_) {
      loop_.Exit(0);
      return;
    }
    // Never served, and nobody was killed: a restart would only hide why. Whoever started us gets
    // to know.
    if (!served_ && !generation_->killed()) {
      failure_ = death_;
      loop_.Exit(0);
      return;
    }
    const bool healthy = SystemClock().MonotonicNs() - started_ns_ > kHealthyNs;
    short_lives_ = healthy ? 0 : std::min(short_lives_ + 1, kMaxDoublings);
    if (!ready_now_ && ++unready_ >= kGiveUpAfter) {
      // Clients that wait at the doors start a gateway of their own and hear why it cannot.
      failure_ = death_;
      failure_->message = std::to_string(unready_) + " starts in a row failed: " + death_.message;
      Log(LogLevel::kError, kProgram, failure_->message);
      loop_.Exit(0);
      return;
    }
    const uint64_t delay =
        healthy ? kFirstBackoffUs : std::min(kFirstBackoffUs << (short_lives_ - 1), kLastBackoffUs);
    auto timer = loop_.AddTimer(delay, [this] {
      backoff_.Reset();
      StartGeneration();
    });
    if (timer) backoff_ = std::move(*timer);
  }

  // The clean end: operator, signal or nobody left.
  void Finish() {
    if (finishing_) return;
    finishing_ = true;
    idle_.Reset();
    if (backoff_.active()) {
      loop_.Exit(0);
      return;
    }
    generation_->End(true);
  }

  EventLoop& loop_;
  const GatewayOptions& options_;
  Ground& ground_;
  ReadyPipe& ready_;
  std::unique_ptr<Generation> generation_;
  EventSource idle_;
  EventSource backoff_;
  EventSource watch_;
  std::optional<Error> failure_;
  uint64_t started_ns_ = 0;
  uint64_t clients_ = 0;
  LogMark mark_;
  Error death_;          // of the daemon that ended the last generation
  int short_lives_ = 0;  // generations in a row that did not live long
  int unready_ = 0;      // generations in a row that never served
  bool ready_now_ = false;
  bool served_ = false;  // some generation was ready
  bool finishing_ = false;
  std::deque<UniqueFd> offered_;  // parcels that kruxd has not judged yet
  bool reload_owed_ = false;      // asked for while there was no kruxd that serves
};

// kruxd serves many connections; the limit is inherited. No daemon ever dumps core: it would hold
// other people's arguments.
void SetLimits() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < kWantedFiles) {
    files.rlim_cur = std::min(files.rlim_max, kWantedFiles);
    setrlimit(RLIMIT_NOFILE, &files);
  }
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

Result<void> Supervise(const GatewayOptions& options, ReadyPipe& ready) {
  signal(SIGPIPE, SIG_IGN);
  umask(077);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  SetLimits();
  const Locks locks = KRUX_TRY(TakeLocks(options.paths));
  Ground ground = KRUX_TRY(PrepareGround(options));
  const auto files = KRUX_TRY(ReadPolicyFolder(PolicyFolder(options.paths.config_file)));
  ground.policies = KRUX_TRY(PackPolicies(files));
  EventLoop loop = KRUX_TRY(EventLoop::Create());
  Result<void> result = Supervisor(loop, options, ground, ready).Run();
  // The sockets go before the locks: whoever takes the locks next makes its own.
  unlink(options.paths.gateway_socket.c_str());
  unlink(options.paths.admin_socket.c_str());
  return result;
}

}  // namespace

Result<void> RunGateway(const GatewayOptions& options) {
  ReadyPipe ready(options.ready_fd);
  const Result<GatewayOptions> effective = WithConfig(options);
  if (!effective) {
    ready.Fail(effective.error());
    return std::unexpected(effective.error());
  }
  Result<void> result = Supervise(*effective, ready);
  if (!result) ready.Fail(result.error());
  return result;
}

}  // namespace krux::gateway
