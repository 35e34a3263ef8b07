// krux_audit_bench [RUNS]: what the log costs over the bare disk, interleaved in one run on one
// disk: one durable record against a write and fdatasync of the same bytes, 64 callers at once
// against a write and fdatasync of 64 KiB, and the judging of the log against a plain SHA-256 of
// it. Only the ratios mean anything.
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "audit/client.h"
#include "audit/log.h"
#include "audit/verify/verify.h"
#include "base/clock.h"
#include "base/digest.h"

namespace krux::bench {
namespace {

constexpr size_t kCallers = 64;
constexpr int kWarmUp = 10;
constexpr size_t kRounds = 8;  // of 64 records in one turn of the many callers
constexpr uint64_t kReserved = 64 << 20;

using audit::Draft;

// About 1 KiB as it stands in the log, so that 64 of them are about 64 KiB.
Draft Denial() {
  audit::Intent intent;
  intent.call_id = intent.session = cbor::Bytes(16, 1);
  intent.agent = "uid:1000";
  intent.capability = "fs.read";
  intent.args = cbor::Map{{"path", std::string(718, 'p')}};
  intent.rules = {"read_only:3 paths.read"};
  intent.policy_hash = cbor::Bytes(32, 7);
  return ToDraft(intent);
}

// A file as a segment is: reserved beyond its end, appended to.
class BareFile {
 public:
  explicit BareFile(const std::string& path)
      : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
    if (fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, 0, kReserved) != 0) std::perror("fallocate");
  }
  bool Append(size_t size) {
    bytes_.resize(size, 'x');
    return write(fd_.get(), bytes_.data(), size) == static_cast<ssize_t>(size) &&
           fdatasync(fd_.get()) == 0;
  }

 private:
  UniqueFd fd_;
  std::string bytes_;
};

// krux-auditd as it ships, and 64 requests at a time on its channel.
class Daemon {
 public:
  static Result<std::unique_ptr<Daemon>> Start(const std::string& folder) {
    auto [ours, theirs] = KRUX_TRY(Channel::Pair());
    const std::string program =
        std::filesystem::read_symlink("/proc/self/exe").parent_path().string() + "/krux-auditd";
    std::vector<std::string> words = {
        program, "--channel-fd", "10", "--log-dir", folder + "/daemon", "--pub", folder + "/pub"};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, theirs.fd(), 10);
    auto daemon = std::unique_ptr<Daemon>(new Daemon(std::move(ours)));
    const int e =
        posix_spawn(&daemon->pid_, program.c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (e != 0) return SysError(ExitCode::kConfig, "start `" + program + "`", e);
    return daemon;
  }
  ~Daemon() {
    client_.reset();
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
  }
  // 64 callers, each with its next record as soon as its last is durable, `rounds` times.
  bool AppendFromAll(const Draft& draft, size_t rounds) {
    size_t sent = 0;
    for (; sent < kCallers; ++sent) {
      if (!client_->Append(sent + 1, draft)) return false;
    }
    for (size_t done = 0; done < kCallers * rounds;) {
      const auto ack = client_->Next();
      if (!ack) return false;
      if (!ack->has_value()) {
        pollfd p{client_->fd(),
                 static_cast<short>(client_->WantsWrite() ? POLLIN | POLLOUT : POLLIN), 0};
        poll(&p, 1, 10'000);
      } else if (!(*ack)->error.empty()) {
        return false;
      } else {
        ++done;
        if (sent < kCallers * rounds && !client_->Append(++sent, draft)) return false;
      }
    }
    return true;
  }

 private:
  explicit Daemon(Channel channel)
      : client_(std::make_unique<audit::AuditClient>(std::move(channel))) {}
  std::unique_ptr<audit::AuditClient> client_;
  pid_t pid_ = -1;
};

struct Contender {
  std::string name;
  std::function<bool()> run;
  std::vector<double> us = {};
};

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

Result<void> Measure(std::vector<Contender>* contenders, int runs) {
  for (int round = -kWarmUp; round < runs; ++round) {
    for (Contender& contender : *contenders) {
      const uint64_t begin = SystemClock().MonotonicNs();
      if (!contender.run())
        return Fail(ExitCode::kAudit, contender.name, contender.name + " failed");
      const uint64_t end = SystemClock().MonotonicNs();
      if (round >= 0) contender.us.push_back(static_cast<double>(end - begin) / 1000);
    }
  }
  return {};
}

uint64_t LogBytes(const std::string& folder, std::vector<std::string>* paths) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".klog") continue;
    bytes += entry.file_size();
    paths->push_back(entry.path());
  }
  return bytes;
}

// How fast the log of the daemon is judged, to how fast its bytes go through SHA-256.
double VerifyRatio(const std::string& folder) {
  std::vector<std::string> paths;
  LogBytes(folder + "/daemon", &paths);
  std::vector<double> judged, hashed;
  for (int i = 0; i < 5; ++i) {
    uint64_t begin = SystemClock().MonotonicNs();
    (void)audit::verify::VerifyLog(folder + "/daemon", {.public_key = folder + "/pub"});
    judged.push_back(static_cast<double>(SystemClock().MonotonicNs() - begin));
    begin = SystemClock().MonotonicNs();
    for (const std::string& path : paths) {
      std::ifstream in(path, std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
      (void)Sha256(text);
    }
    hashed.push_back(static_cast<double>(SystemClock().MonotonicNs() - begin));
  }
  return Median(hashed) / Median(judged);
}

Result<void> RunIn(const std::string& folder, int runs) {
  auto log =
      KRUX_TRY(audit::Log::Open({.dir = folder + "/log", .public_key = folder + "/log.pub"}));
  const Draft draft = Denial();
  std::vector<std::string> paths;
  const uint64_t empty = LogBytes(folder + "/log", &paths);
  if (!log->Append({&draft, 1})[0].error.empty()) return Fail(ExitCode::kAudit, "log", "no append");
  const size_t frame = LogBytes(folder + "/log", &paths) - empty;
  auto daemon = KRUX_TRY(Daemon::Start(folder));
  BareFile one(folder + "/one"), ceiling(folder + "/ceiling");
  std::vector<Contender> contenders;
  contenders.push_back(
      {"one durable record", [&] { return log->Append({&draft, 1})[0].error.empty(); }});
  contenders.push_back({"write + fdatasync of its bytes", [&] { return one.Append(frame); }});
  contenders.push_back({"64 callers through krux-auditd, 8 x",
                        [&] { return daemon->AppendFromAll(draft, kRounds); }});
  contenders.push_back({"write + fdatasync of 64 KiB", [&] { return ceiling.Append(64 * 1024); }});
  KRUX_TRY(Measure(&contenders, runs));
  daemon.reset();
  fmt::print("{} interleaved runs, records of {} bytes, p50 in us\n", runs, frame);
  std::vector<double> p50;
  for (const Contender& contender : contenders) {
    p50.push_back(Median(contender.us));
    fmt::print("{:<36}{:>9.0f}\n", contender.name, p50.back());
  }
  const double throughput =
      static_cast<double>(kRounds * kCallers * frame) / p50[2] / (64 * 1024 / p50[3]);
  fmt::print("durable record to bare append         {:.2f}  (goal: at most 1.10)\n",
             p50[0] / p50[1]);
  fmt::print("64 callers, share of the ceiling      {:.2f}  (goal: at least 0.50)\n", throughput);
  fmt::print("verify, share of the rate of SHA-256  {:.2f}  (goal: at least 0.55)\n",
             VerifyRatio(folder));
  return {};
}

// chattr -a: segments are append-only where the bench runs as root.
void MakeRemovable(const std::string& folder) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".klog") continue;
    const UniqueFd fd(open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.valid()) (void)audit::SystemIo().SetAppendOnly(fd.get(), false);
  }
}

int Main(int argc, char** argv) {
  const int runs = argc > 1 ? std::max(1, std::atoi(argv[1])) : 500;
  std::string folder = "/var/tmp/krux-audit-bench-XXXXXX";  // a disk
  if (mkdtemp(folder.data()) == nullptr) return ToInt(ExitCode::kConfig);
  const Result<void> ran = RunIn(folder, runs);
  MakeRemovable(folder);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  if (ran) return 0;
  fmt::print(stderr, "krux_audit_bench: {}\n", ran.error().message);
  return ToInt(ran.error().code);
}

}  // namespace
}  // namespace krux::bench

int main(int argc, char** argv) { return krux::bench::Main(argc, argv); }
