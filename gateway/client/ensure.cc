#include "gateway/client/ensure.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/clock.h"

namespace krux::gateway {
namespace {

constexpr int kStarts = 3;
constexpr int kPollMs = 10;
constexpr int kHelloMs = 10'000;
// How long kruxd outlives the other daemons of its generation.
constexpr int kEndingMs = 300;

// Of a hello and an open: nothing has been asked for that could have had an effect.
bool MayAskAgain(const Error& error) { return WasNotTaken(error) || WasLost(error); }

Result<Client> CheckWishes(Client client, const StartOptions& options) {
  const std::vector<std::string>& allowed = client.gateway().degraded;
  for (const std::string& layer : options.allow_degraded) {
    if (std::find(allowed.begin(), allowed.end(), layer) != allowed.end()) continue;
    std::string message = "the running gateway requires the layer `";
    message += layer;
    message +=
        "` and a call cannot widen that; run `krux gateway stop`, then start it with "
        "--allow-degraded=";
    message += layer;
    return Fail(ExitCode::kConfig, "gateway", std::move(message));
  }
  return client;
}

uint64_t NowMs() { return SystemClock().MonotonicNs() / 1'000'000; }

// The lock that lets one of several racing callers start the gateway while the others wait.
Result<UniqueFd> LockStart(const GatewayPaths& paths, uint64_t deadline_ms) {
  // The state folder first: the runtime folder may lie in it, and parents are made open to all.
  const UniqueFd state = KRUX_TRY(MakePrivateDir(paths.state_dir));
  const UniqueFd dir = KRUX_TRY(MakePrivateDir(paths.runtime_dir));
  UniqueFd lock(openat(dir.get(), "start.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock.valid())
    return SysError(ExitCode::kConfig, "open `" + paths.runtime_dir + "/start.lock`", errno);
  while (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return SysError(ExitCode::kConfig, "lock the start", errno);
    if (NowMs() > deadline_ms) {
      return Fail(ExitCode::kUnreachable, "gateway",
                  "another process has been starting the gateway for too long");
    }
    poll(nullptr, 0, kPollMs);
  }
  return lock;
}

// Everything the grandchild needs, made before fork(2): after it only async-signal-safe calls.
struct Words {
  std::vector<std::string> text;
  std::vector<char*> argv;
};

Words SupervisorWords(const StartOptions& options, int ready_fd) {
  Words words;
  words.text = {"krux", "gateway", "run", "--ready-fd", std::to_string(ready_fd)};
  for (const std::string& layer : options.allow_degraded)
    words.text.push_back("--allow-degraded=" + layer);
  for (const std::string& word : options.extra_arguments) words.text.push_back(word);
  for (std::string& word : words.text) words.argv.push_back(word.data());
  words.argv.push_back(nullptr);
  return words;
}

[[noreturn]] void BecomeSupervisor(const char* program, char* const* argv, int ready_fd) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  const int null = open("/dev/null", O_RDWR);
  if (null >= 0) {
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
  }
  // CLOSE_RANGE_CLOEXEC (linux/close_range.h): no descriptor of the caller lives on in the gateway.
  close_range(3, ~0u, 4);
  fcntl(ready_fd, F_SETFD, 0);
  if (chdir("/") == 0) execv(program, argv);
  static const char kFailed[] = "error 69 `krux gateway run` could not be executed\n";
  [[maybe_unused]] const ssize_t written = write(ready_fd, kFailed, sizeof(kFailed) - 1);
  _exit(127);
}

Result<UniqueFd> StartDetached(const StartOptions& options) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SysError(ExitCode::kInternal, "pipe2", errno);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  Words words = SupervisorWords(options, write_end.get());
  const pid_t child = fork();
  if (child < 0) return SysError(ExitCode::kInternal, "fork", errno);
  if (child == 0) {
    setsid();
    // The second fork gives the supervisor to init: it must outlive the caller and its terminal.
    const pid_t grandchild = fork();
    if (grandchild != 0) _exit(grandchild < 0 ? 1 : 0);
    BecomeSupervisor(options.krux_program.c_str(), words.argv.data(), write_end.get());
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) return Fail(ExitCode::kInternal, "gateway", "cannot fork a gateway");
  return read_end;
}

// Reads "ok <pid>\n" or "error <code> <message>\n" of the supervisor; returns its pid in words.
Result<std::string> AwaitReady(int fd, uint64_t deadline_ms, const GatewayPaths& paths) {
  std::string line;
  while (line.find('\n') == std::string::npos) {
    const uint64_t now = NowMs();
    pollfd p{fd, POLLIN, 0};
    if (now >= deadline_ms || poll(&p, 1, static_cast<int>(deadline_ms - now)) == 0) {
      return Fail(
          ExitCode::kUnreachable, "gateway",
          "the gateway was started but is not ready in time; see `" + paths.gateway_log + "`");
    }
    char buffer[1024];
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return std::unexpected(
          Error{ExitCode::kUnreachable, ECONNRESET, "gateway",
                "the gateway ended while it started; see `" + paths.gateway_log + "`"});
    }
    line.append(buffer, static_cast<size_t>(got));
  }
  line.resize(line.find('\n'));
  if (line.starts_with("ok ")) return line.substr(3);
  int code = ToInt(ExitCode::kUnreachable);
  const char* const end = line.data() + line.size();
  const char* begin = line.data() + std::min(line.size(), std::strlen("error "));
  const char* after = std::from_chars(begin, end, code).ptr;
  if (after < end) ++after;  // the blank
  return Fail(static_cast<ExitCode>(code), "gateway", std::string(after, end));
}

// A supervisor holds this lock as long as it lives; where it does, the next generation of daemons
// comes by itself.
bool SupervisorLives(const GatewayPaths& paths) {
  const UniqueFd lock(
      open((paths.runtime_dir + "/gateway.lock").c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  return lock.valid() && flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Result<void> Start(const GatewayPaths& paths, const StartOptions& options) {
  const uint64_t deadline_ms = NowMs() + static_cast<uint64_t>(options.start_timeout_ms);
  const UniqueFd lock = KRUX_TRY(LockStart(paths, deadline_ms));
  // Whoever held the lock before us may have started it.
  if (Client::Connect(paths).has_value()) return {};
  const UniqueFd ready = KRUX_TRY(StartDetached(options));
  const std::string pid = KRUX_TRY(AwaitReady(ready.get(), deadline_ms, paths));
  if (options.say) {
    options.say("started a private gateway (pid " + pid + ", log `" + paths.gateway_log +
                "`); it ends 60 s after its last client");
  }
  return {};
}

}  // namespace

Result<Client> EnsureGateway(const GatewayPaths& paths, const StartOptions& options) {
  KRUX_TRY(CheckRuntimePaths(paths));
  const uint64_t deadline_ms = NowMs() + static_cast<uint64_t>(options.start_timeout_ms);
  for (int starts = 0;;) {
    auto client = Client::Connect(paths, kHelloMs);
    if (client) return CheckWishes(std::move(*client), options);
    if (!MayAskAgain(client.error())) return std::unexpected(std::move(client.error()));
    if (paths.service) {
      return Fail(ExitCode::kUnreachable, "gateway",
                  "the krux service is installed but does not answer at `" + paths.gateway_socket +
                      "`; run `systemctl status kruxd`");
    }
    if (NowMs() >= deadline_ms) return std::unexpected(std::move(client.error()));
    if (SupervisorLives(paths)) {
      poll(nullptr, 0, kPollMs);
      continue;
    }
    if (!options.may_start) {
      return Fail(ExitCode::kUnreachable, "gateway",
                  "no gateway is running; run `krux gateway start`");
    }
    if (auto started = Start(paths, options); !started) {
      // Killed while it started, or somebody else's was there first.
      const bool again = MayAskAgain(started.error()) || started.error().code == ExitCode::kBusy;
      if (!again || ++starts >= kStarts) return std::unexpected(std::move(started.error()));
    }
  }
}

Result<bool> StopGateway(const GatewayPaths& paths, int timeout_ms) {
  const uint64_t deadline_ms = NowMs() + static_cast<uint64_t>(timeout_ms);
  for (;;) {
    auto admin = Client::ConnectAdmin(paths, kHelloMs);
    const Result<void> stopped = admin ? admin->Stop() : std::unexpected(admin.error());
    if (stopped) return true;
    if (!MayAskAgain(stopped.error())) return std::unexpected(stopped.error());
    // Whether the request was taken or not: it is over when nobody holds the lock.
    if (!paths.service && !SupervisorLives(paths)) return admin.has_value();
    if (NowMs() >= deadline_ms) return std::unexpected(stopped.error());
    poll(nullptr, 0, kPollMs);
  }
}

Result<OpenedSession> OpenSession(const GatewayPaths& paths, const StartOptions& options,
                                  const WorkDir& work, std::string_view profile) {
  const uint64_t deadline_ms = NowMs() + static_cast<uint64_t>(options.start_timeout_ms);
  for (;;) {
    Client client = KRUX_TRY(EnsureGateway(paths, options));
    auto opened = client.Open(work, profile);
    if (opened) return OpenedSession{std::move(client), std::move(*opened)};
    // Where a daemon behind kruxd is gone, kruxd says so and soon goes as well.
    const bool behind =
        opened.error().code == ExitCode::kAudit || opened.error().code == ExitCode::kSandbox;
    const bool again = MayAskAgain(opened.error()) || (behind && client.EndsWithin(kEndingMs));
    if (!again || NowMs() >= deadline_ms) return std::unexpected(std::move(opened.error()));
  }
}

}  // namespace krux::gateway
