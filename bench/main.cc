// krux_bench [RUNS]: one recorded fs.read call through the gateway, the same file through
// bubblewrap and cat, and through a fork server without any sandbox; interleaved A B C A B C … in
// one run, the outputs compared every time. Only the ratios of one run mean anything.
// krux_bench load [CALLS]: the latency of a client among hostile ones.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/clock.h"
#include "bench/bubblewrap.h"
#include "bench/fork_server.h"
#include "bench/load.h"
#include "bench/policy_step.h"
#include "gateway/client/ensure.h"

namespace krux::bench {
namespace {

constexpr int kWarmUp = 10;
constexpr size_t kFileBytes = 4096;

struct Contender {
  std::string name;
  std::function<Result<std::string>()> run;
  std::vector<double> us = {};
};

double Percentile(const std::vector<double>& sorted, double p) {
  return sorted[static_cast<size_t>(p * static_cast<double>(sorted.size() - 1))];
}

// A scratch folder that the daemons' own users can pass through.
Result<std::string> MakeScratch() {
  std::string path = "/var/tmp/krux-bench-XXXXXX";  // a disk, so that fdatasync(2) means something
  if (mkdtemp(path.data()) == nullptr)
    return SysError(ExitCode::kConfig, "make `" + path + "`", errno);
  chmod(path.c_str(), 0711);
  std::filesystem::create_directory(path + "/work");
  std::ofstream file(path + "/work/file", std::ios::binary);
  for (size_t i = 0; i < kFileBytes; ++i) file.put(static_cast<char>(i * 7));
  return path;
}

std::string Trim(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// What `krux doctor --needs-degraded` prints.
std::string NeedsDegraded(const std::string& krux) {
  std::string text;
  if (FILE* pipe = popen(("'" + krux + "' doctor --needs-degraded").c_str(), "re")) {
    char buffer[256];
    while (fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
    pclose(pipe);
  }
  return Trim(text);
}

// One durable append as the log makes two of per call: the disk's own share.
Result<std::string> Append(int fd, const std::string& content) {
  char record[600] = {};
  if (write(fd, record, sizeof record) != sizeof record || fdatasync(fd) != 0) {
    return SysError(ExitCode::kAudit, "append", errno);
  }
  return content;
}

Result<void> Measure(std::vector<Contender>* contenders, const std::string& expected, int runs) {
  for (int round = -kWarmUp; round < runs; ++round) {
    for (Contender& contender : *contenders) {
      const uint64_t begin = SystemClock().MonotonicNs();
      Result<std::string> content = contender.run();
      const uint64_t end = SystemClock().MonotonicNs();
      if (!content) return std::unexpected(std::move(content.error()));
      if (*content != expected)
        return Fail(ExitCode::kFailed, contender.name, contender.name + ": other bytes");
      if (round >= 0) contender.us.push_back(static_cast<double>(end - begin) / 1000);
    }
  }
  return {};
}

void Print(std::vector<Contender>& contenders, int runs) {
  for (Contender& contender : contenders) std::sort(contender.us.begin(), contender.us.end());
  const double p50 = Percentile(contenders[0].us, 0.5);
  const double p99 = Percentile(contenders[0].us, 0.99);
  fmt::print("{} interleaved runs, {} bytes, µs; the ratio is that of krux to the row\n", runs,
             kFileBytes);
  fmt::print("{:<42}{:>9}{:>9}{:>9}{:>11}{:>11}\n", "", "p50", "p99", "max", "ratio p50",
             "ratio p99");
  for (const Contender& contender : contenders) {
    const double its_p50 = Percentile(contender.us, 0.5);
    const double its_p99 = Percentile(contender.us, 0.99);
    fmt::print("{:<42}{:>9.0f}{:>9.0f}{:>9.0f}{:>11.2f}{:>11.2f}\n", contender.name, its_p50,
               its_p99, contender.us.back(), p50 / its_p50, p99 / its_p99);
  }
}

struct Setting {
  gateway::GatewayPaths paths;
  gateway::StartOptions start;
  std::string degraded;
};

Result<Setting> Prepare(const std::string& scratch) {
  setenv("KRUX_STATE_DIR", (scratch + "/state").c_str(), 1);
  setenv("KRUX_RUNTIME_DIR", (scratch + "/run").c_str(), 1);
  setenv("KRUX_CONFIG", (scratch + "/config/krux.toml").c_str(), 1);
  WriteRules(scratch + "/config/policies", 10, 0);
  Setting setting;
  setting.paths = KRUX_TRY(gateway::FindGatewayPaths());
  setting.start.krux_program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path().string() + "/krux";
  setting.degraded = NeedsDegraded(setting.start.krux_program);
  if (!setting.degraded.empty()) setting.start.allow_degraded.push_back(setting.degraded);
  return setting;
}

Result<void> Stop(const gateway::GatewayPaths& paths) {
  gateway::Client admin = KRUX_TRY(gateway::Client::ConnectAdmin(paths));
  return admin.Stop();
}

Result<void> RunLoad(const std::string& scratch, size_t calls) {
  const Setting setting = KRUX_TRY(Prepare(scratch));
  Result<void> measured;
  {
    const gateway::Client keeps = KRUX_TRY(gateway::EnsureGateway(setting.paths, setting.start));
    measured = MeasureLoad(setting.paths, scratch, calls);
  }
  KRUX_TRY(Stop(setting.paths));
  return measured;
}

Result<void> RunIn(const std::string& scratch, int runs) {
  const auto [paths, start, degraded] = KRUX_TRY(Prepare(scratch));
  // Before the gateway and its threads of work: this process is still small.
  ForkServer server = KRUX_TRY(ForkServer::Start());
  gateway::Client client = KRUX_TRY(gateway::EnsureGateway(paths, start));
  const std::string work = scratch + "/work";
  const std::string path = work + "/file";
  const gateway::WorkDir work_dir = KRUX_TRY(gateway::ChooseWork(work));
  KRUX_TRY(client.Open(work_dir, "read_only"));
  std::ifstream file(path, std::ios::binary);
  const std::string expected{std::istreambuf_iterator<char>(file),
                             std::istreambuf_iterator<char>()};
  const UniqueFd log(
      open((scratch + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));

  std::vector<Contender> contenders;
  contenders.push_back({"krux: fs.read, decided, recorded, confined", [&]() -> Result<std::string> {
                          const gateway::Reply reply =
                              KRUX_TRY(client.Call("fs.read", {{"path", path}}));
                          if (!reply.ok) return Fail(reply.code, "krux", reply.message);
                          return reply.output.ReadAll();
                        }});
  contenders.push_back(
      {"bwrap --unshare-all … cat", [&] { return ReadThroughBubblewrap(work, path); }});
  contenders.push_back({"fork per call, no sandbox, no record", [&] { return server.Read(path); }});
  contenders.push_back(
      {"one append + fdatasync (a call makes two)", [&] { return Append(log.get(), expected); }});
  Result<void> measured = Measure(&contenders, expected, runs);
  if (measured) {
    Print(contenders, runs);
    measured = PrintPolicyStep(Percentile(contenders[0].us, 0.5));
  }
  if (measured) measured = MeasureReload(paths, scratch + "/config/policies");
  KRUX_TRY(Stop(paths));
  if (!measured) return measured;
  if (!degraded.empty())
    fmt::print("without the limits of the layer `{}`, which this machine lacks\n", degraded);
  return {};
}

int Main(int argc, char** argv) {
  const bool load = argc > 1 && std::string_view(argv[1]) == "load";
  const int number = load ? 2 : 1;
  const int runs = argc > number ? std::max(2, std::atoi(argv[number])) : load ? 400 : 200;
  const Result<std::string> scratch = MakeScratch();
  Result<void> ran;
  if (!scratch) {
    ran = std::unexpected(scratch.error());
  } else {
    ran = load ? RunLoad(*scratch, static_cast<size_t>(runs)) : RunIn(*scratch, runs);
  }
  std::error_code ignored;
  if (scratch) std::filesystem::remove_all(*scratch, ignored);
  if (ran) return 0;
  fmt::print(stderr, "krux_bench: {}\n", ran.error().message);
  return ToInt(ran.error().code);
}

}  // namespace
}  // namespace krux::bench

int main(int argc, char** argv) { return krux::bench::Main(argc, argv); }
