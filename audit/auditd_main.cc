// krux-auditd: the only process that writes the log and the only one that holds its signing key.
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include <charconv>
#include <cstdio>
#include <cstring>

#include "audit/auditd.h"
#include "audit/seccomp_filters.h"
#include "base/injection.h"
#include "base/self_confine.h"
#ifdef KRUX_TEST_HOOKS
#include "audit/test_faults.h"
#endif

namespace krux::audit {
namespace {

constexpr char kUsage[] =
    "usage: krux-auditd --channel-fd N --log-dir DIR --pub FILE [--lifeline-fd N]\n"
    "                   [--segment-bytes N] [--checkpoint-every N] [--idle-ms N]\n"
    "Writes the audit log in DIR for the process at the other end of descriptor N. Started by "
    "krux.\n";

constexpr uint64_t kLockWaitMs = 8'000;

struct Arguments {
  uint64_t channel_fd = UINT64_MAX;
  uint64_t lifeline_fd = UINT64_MAX;
  uint64_t idle_ms = 100;
  LogOptions log;
};

bool ParseNumber(std::string_view text, uint64_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

bool Parse(int argc, char** argv, Arguments* out) {
  static const option kOptions[] = {{"channel-fd", required_argument, nullptr, 'c'},
                                    {"lifeline-fd", required_argument, nullptr, 'l'},
                                    {"log-dir", required_argument, nullptr, 'd'},
                                    {"pub", required_argument, nullptr, 'p'},
                                    {"segment-bytes", required_argument, nullptr, 's'},
                                    {"checkpoint-every", required_argument, nullptr, 'e'},
                                    {"idle-ms", required_argument, nullptr, 'i'},
                                    {nullptr, 0, nullptr, 0}};
  int letter;
  bool good = true;
  while ((letter = getopt_long(argc, argv, "", kOptions, nullptr)) != -1) {
    switch (letter) {
      case 'c':
        good &= ParseNumber(optarg, &out->channel_fd);
        break;
      case 'l':
        good &= ParseNumber(optarg, &out->lifeline_fd);
        break;
      case 'd':
        out->log.dir = optarg;
        break;
      case 'p':
        out->log.public_key = optarg;
        break;
      case 's':
        good &= ParseNumber(optarg, &out->log.segment_bytes);
        break;
      case 'e':
        good &= ParseNumber(optarg, &out->log.checkpoint_every);
        break;
      case 'i':
        good &= ParseNumber(optarg, &out->idle_ms);
        break;
      default:
        good = false;
    }
  }
  return good && optind == argc && out->channel_fd <= INT32_MAX && !out->log.dir.empty() &&
         !out->log.public_key.empty() && out->idle_ms <= INT32_MAX &&
         out->log.checkpoint_every > 0 && out->log.segment_bytes >= 256 * 1024 &&
         out->log.segment_bytes <= kSegmentBytes;
}

// What this process holds (the key) and does is nobody's business: no core dumps.
void Harden() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

// The log, the folder of the public key, and no other file of this machine.
Result<void> Confine(const LogOptions& log) {
  const size_t slash = log.public_key.rfind('/');
  const std::string key_dir =
      slash == std::string::npos ? "." : log.public_key.substr(0, slash + 1);
  // A rule needs its folder to be there; what is wrong with the folder is for Log::Open to say.
  (void)mkdir(log.dir.c_str(), 0700);
  return ConfineSelf({.filter = &generated::kAuditdFilter,
                      .read_only = {"/proc/sys/kernel/random/boot_id"},
                      .read_write = {log.dir, key_dir}});
}

// Members of the log folder's group may read the log where the folder lets them in.
void SetUmask(const std::string& log_dir) {
  struct stat st;
  const bool group_reads = stat(log_dir.c_str(), &st) == 0 && (st.st_mode & 0050) == 0050;
  umask(group_reads ? 0027 : 0077);
}

int StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  // A file that outgrows RLIMIT_FSIZE is an error of write(2), not a reason to die.
  signal(SIGXFSZ, SIG_IGN);
  return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

int Report(const Error& error) {
  std::fprintf(stderr, "krux-auditd: %s\n", error.message.c_str());
  return ToInt(error.code);
}

int Main(int argc, char** argv) {
  Arguments arguments;
  if (!Parse(argc, argv, &arguments)) {
    std::fputs(kUsage, stderr);
    return ToInt(ExitCode::kUsage);
  }
  Harden();
  SetUmask(arguments.log.dir);
  if (const Result<void> confined = Confine(arguments.log); !confined)
    return Report(confined.error());
  UniqueFd stop(StopSignals());
  const int lifeline =
      arguments.lifeline_fd > INT32_MAX ? -1 : static_cast<int>(arguments.lifeline_fd);
  Channel channel(UniqueFd(static_cast<int>(arguments.channel_fd)));
  fcntl(channel.fd(), F_SETFD, FD_CLOEXEC);

  arguments.log.lock_wait_ms = kLockWaitMs;
#ifdef KRUX_TEST_HOOKS
  TestFaults faults(arguments.log.dir + "/test-faults");
  arguments.log.io = &faults;
#endif
  Result<std::unique_ptr<Log>> log = Log::Open(std::move(arguments.log));
  if (!log) {
    (void)Report(log.error());
    return ToInt(ExitCode::kAudit);
  }
  Auditd daemon(std::move(*log), std::move(channel), lifeline, stop.get(),
                {.idle_ms = static_cast<int>(arguments.idle_ms), .group_limit = 1024});
  injection::Run();
  const Result<void> result = daemon.Run();
  return result ? ToInt(ExitCode::kOk) : Report(result.error());
}

}  // namespace
}  // namespace krux::audit

#ifdef __SANITIZE_ADDRESS__
// LeakSanitizer looks into /proc at exit, which this process may not open any more.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }  // NOLINT
#endif

int main(int argc, char** argv) {
  try {
    krux::injection::TakeFlags(&argc, argv);
    return krux::audit::Main(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "krux-auditd: %s\n", e.what());
    return krux::ToInt(krux::ExitCode::kInternal);
  }
}
