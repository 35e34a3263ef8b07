// Nothing of a call stays: processes, mounts, cgroups, namespaces, descriptors, shared memory and
// the daemons' memory before and after many mixed calls through one real gateway, eight at a time.
// 2,000 calls; 10,000 with KRUX_SOAK=1 (./dev soak).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "gateway/client/client.h"
#include "tests/tools/krux_process.h"

namespace krux::tools {
namespace {

namespace fs = std::filesystem;
using gateway::Client;

constexpr int kClients = 8;
constexpr int kWarmUp = 400;

int Calls() { return std::getenv("KRUX_SOAK") != nullptr ? 10'000 : 2'000; }

std::string Slurp(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string StatusLine(pid_t pid, const std::string& key) {
  std::istringstream lines(Slurp("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key + ":"))
      return line.substr(line.find_first_not_of(" \t", key.size() + 1));
  }
  return "";
}

size_t Entries(const fs::path& path) {
  std::error_code ignored;
  size_t n = 0;
  for (auto it = fs::directory_iterator(path, ignored); it != fs::directory_iterator(); ++it) ++n;
  return n;
}

struct Daemon {
  size_t fds = 0, mounts = 0;
  long rss_kib = 0;
};

// What there is of one gateway: its supervisor and all below.
struct Snapshot {
  size_t processes = 0, namespaces = 0, leaves = 0, shm = 0;
  std::map<std::string, Daemon> daemons;
};

std::vector<pid_t> Descendants(pid_t top) {
  std::multimap<pid_t, pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const pid_t pid = static_cast<pid_t>(std::atoi(entry.path().filename().c_str()));
    if (pid > 0) children.emplace(std::atoi(StatusLine(pid, "PPid").c_str()), pid);
  }
  std::vector<pid_t> all{top};
  for (size_t i = 0; i < all.size(); ++i) {
    const auto [from, to] = children.equal_range(all[i]);
    for (auto it = from; it != to; ++it) all.push_back(it->second);
  }
  return all;
}

// Directories beside spawnd's own in the gateway's cgroup; 0 where it has none.
size_t Leaves(pid_t spawnd) {
  const std::string own = Slurp("/proc/" + std::to_string(spawnd) + "/cgroup");
  const size_t at = own.find("0::/krux-");
  if (at == std::string::npos) return 0;
  const std::string path = own.substr(at + 3, own.find('\n', at) - at - 3);
  std::istringstream mounts(Slurp("/proc/self/mounts"));
  std::string device, point, type, rest;
  while (mounts >> device >> point >> type && std::getline(mounts, rest)) {
    if (type != "cgroup2") continue;
    size_t leaves = 0;
    for (const auto& entry : fs::directory_iterator(point + fs::path(path).parent_path().string()))
      leaves += entry.is_directory() && entry.path().filename() != "spawnd" ? 1 : 0;
    return leaves;
  }
  return 0;
}

Snapshot Look(pid_t supervisor) {
  Snapshot seen;
  std::set<std::string> namespaces;
  for (const pid_t pid : Descendants(supervisor)) {
    const fs::path proc = "/proc/" + std::to_string(pid);
    std::string word = Slurp(proc / "cmdline");
    if (word.empty()) continue;  // gone, or a zombie
    ++seen.processes;
    std::string name = fs::path(word.substr(0, word.find('\0'))).filename();
    if (name == "krux-spawnd") {
      const bool inner = word.find("--inner") != std::string::npos;
      if (inner) seen.leaves = Leaves(pid);
      name += inner ? " (inner)" : " (outer)";
    }
    std::error_code ignored;
    for (const auto& ns : fs::directory_iterator(proc / "ns", ignored))
      namespaces.insert(fs::read_symlink(ns.path(), ignored));
    Daemon& daemon = seen.daemons[name];
    daemon.fds = Entries(proc / "fd");
    const std::string mountinfo = Slurp(proc / "mountinfo");
    daemon.mounts = static_cast<size_t>(std::count(mountinfo.begin(), mountinfo.end(), '\n'));
    daemon.rss_kib = std::atol(StatusLine(pid, "VmRSS").c_str());
  }
  seen.namespaces = namespaces.size();
  seen.shm = Entries("/dev/shm");
  return seen;
}

// The mix: one in twenty each, by number.
struct Mixed {
  const char* name;
  const char* capability;
  cbor::Map args;
  ExitCode code;
};

Mixed Pick(int number, const std::string& work) {
  const std::string file = work + "/file", hostile = work + "/hostile";
  const auto run = [&](cbor::Array argv, uint64_t ms) {
    return cbor::Map{{"argv", std::move(argv)}, {"timeout_ms", ms}};
  };
  switch (number % 20) {
    case 4:
      return {
          "write",
          "fs.write",
          {{"path", work + "/written-" + std::to_string(number % 400)}, {"content", "new content"}},
          ExitCode::kOk};
    case 5:
    case 6:
      return {"list", "fs.list", {{"path", work}}, ExitCode::kOk};
    case 7:
      return {"stat", "fs.stat", {{"path", file}}, ExitCode::kOk};
    case 8:
      return {"exec ok", "proc.exec", run({"true"}, 30'000), ExitCode::kOk};
    case 9:
      return {"output", "proc.exec", run({"head", "-c", "100000", "/dev/zero"}, 30'000),
              ExitCode::kOk};
    case 10:
      return {"exit 3", "proc.exec", run({"sh", "-c", "exit 3"}, 30'000), ExitCode::kFailed};
    case 11:
      return {"abort", "proc.exec", run({hostile, "abort"}, 30'000), ExitCode::kFailed};
    case 12:
      return {"timeout", "proc.exec", run({"sleep", "60"}, 30), ExitCode::kTimeout};
    case 13:
      return {"daemon", "proc.exec", run({hostile, "daemonise", "/tmp/x"}, 30'000), ExitCode::kOk};
    case 14:
      return {"denied", "fs.read", {{"path", "/etc/shadow"}}, ExitCode::kDenied};
    case 15:
      return {"bad", "fs.read", {{"path", 7u}}, ExitCode::kBadData};
    case 16:
      return {"unknown", "fs.nothing", {}, ExitCode::kNotFound};
    case 17:
      return {"cancelled", "proc.exec", run({"sleep", "60"}, 60'000), ExitCode::kInterrupted};
    case 18:
      return {"missing", "fs.read", {{"path", work + "/none"}}, ExitCode::kNotFound};
    case 19:
      if (number % 100 == 19)
        return {"stderr full", "proc.exec", run({hostile, "fill", "2"}, 30'000), ExitCode::kFailed};
      if (number % 100 == 39)
        return {"no sigterm", "proc.exec", run({hostile, "ignore_term"}, 30), ExitCode::kTimeout};
      if (number % 100 == 59)
        return {"fork bomb", "proc.exec", run({hostile, "fork_bomb"}, 200), ExitCode::kFailed};
      if (number % 100 == 79)
        return {"/tmp full", "proc.exec", run({hostile, "files", "/tmp", "1000000"}, 30'000),
                ExitCode::kFailed};
      [[fallthrough]];
    default:
      return {"read", "fs.read", {{"path", file}}, ExitCode::kOk};
  }
}

class Leak : public testing::Test {
 protected:
  void SetUp() override {
    WriteFile(gateway_.Path("file"), std::string(4096, 'k'));
    fs::copy_file(KRUX_HOSTILE, gateway_.Path("hostile"));
    fs::permissions(gateway_.Path("hostile"), fs::perms(0755));
    ASSERT_EQ(gateway_.Start().exit, 0);
    setenv("KRUX_RUNTIME_DIR", (gateway_.root() + "/run").c_str(), 1);
    setenv("KRUX_STATE_DIR", gateway_.state().c_str(), 1);
    const auto paths = gateway::FindGatewayPaths();
    ASSERT_TRUE(paths) << paths.error().message;
    paths_ = *paths;
    supervisor_ = std::atoi(StatusLine(gateway_.Kruxd(), "PPid").c_str());
    ASSERT_GT(supervisor_, 1);
  }

  Client Connect() const {
    auto client = Client::Connect(paths_, 30'000);
    if (!client) {
      ADD_FAILURE() << client.error().message;
      return {};
    }
    return std::move(*client);
  }

  Result<gateway::OpenReply> Open(Client& client) const {
    return client.Open({UniqueFd(open(gateway_.work().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
                        gateway_.work()},
                       "local_dev");
  }

  // Asks on a connection of its own and hangs up, at whatever moment that then is.
  void CallAndHangUp(const Mixed& mixed, int number) const {
    Client client = Connect();
    const auto opened = Open(client);
    if (!opened) return;
    const gateway::CallRequest call{1, opened->session, mixed.capability, mixed.args, {}};
    (void)client.channel().Send(Encode(call));
    usleep(static_cast<useconds_t>(number * 7919 % 20'000));
  }

  // `count` calls of the mix, by eight clients.
  void Run(int count) {
    std::atomic<int> next{0};
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([&] {
        Client client = Connect();
        const auto opened = Open(client);
        ASSERT_TRUE(opened) << opened.error().message;
        for (int number = next++; number < count; number = next++) One(client, number);
      });
    }
    for (std::thread& client : clients) client.join();
  }

  void One(Client& client, int number) {
    const Mixed mixed = Pick(number, gateway_.work());
    if (mixed.code == ExitCode::kInterrupted) {
      CallAndHangUp(mixed, number);
      Count(mixed.name);
      return;
    }
    const auto reply = client.Call(mixed.capability, mixed.args);
    ASSERT_TRUE(reply) << mixed.name << ": " << reply.error().message;
    if (reply->code == ExitCode::kBusy) return Count("busy");
    EXPECT_EQ(reply->code, mixed.code) << mixed.name << ": " << reply->message;
    Count(mixed.name);
  }

  void Count(const char* name) {
    const std::lock_guard lock(mutex_);
    ++counts_[name];
  }

  // When nothing runs any more, or after 30 seconds.
  Snapshot Settled(size_t processes) {
    Client client = Connect();
    Snapshot seen;
    for (int i = 0; i < 300; ++i) {
      const auto status = client.Status();
      seen = Look(supervisor_);
      if (status && status->calls_in_flight == 0 && seen.leaves == 0 &&
          (processes == 0 || seen.processes <= processes) && status->clients <= 1) {
        break;
      }
      usleep(100'000);
    }
    return seen;
  }

  const PrivateGateway gateway_;
  gateway::GatewayPaths paths_;
  pid_t supervisor_ = 0;
  std::mutex mutex_;
  std::map<std::string, int> counts_;
};

TEST_F(Leak, NothingOfTheCallsIsLeft) {
  Run(kWarmUp);
  const Snapshot before = Settled(0);
  counts_.clear();
  const auto start = std::chrono::steady_clock::now();
  Run(Calls());
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const Snapshot after = Settled(before.processes);

  std::printf("%d mixed calls by %d clients in %.0f s:", Calls(), kClients, seconds);
  for (const auto& [name, n] : counts_) std::printf(" %s %d,", name.c_str(), n);
  std::printf("\n%-24s %8s %8s\n", "", "before", "after");
  const auto row = [](const char* what, size_t a, size_t b) {
    std::printf("%-24s %8zu %8zu\n", what, a, b);
    EXPECT_EQ(a, b) << what;
  };
  row("processes", before.processes, after.processes);
  row("namespaces", before.namespaces, after.namespaces);
  row("cgroup leaves", before.leaves, after.leaves);
  // Others on this machine use it too.
  std::printf("%-24s %8zu %8zu\n", "/dev/shm", before.shm, after.shm);
  for (const auto& [name, was] : before.daemons) {
    const auto found = after.daemons.find(name);
    ASSERT_NE(found, after.daemons.end()) << name << " was restarted or is gone";
    const Daemon& is = found->second;
    row((name + " fds").c_str(), was.fds, is.fds);
    row((name + " mounts").c_str(), was.mounts, is.mounts);
    std::printf("%-24s %8ld %8ld KiB, %.2f\n", (name + " rss").c_str(), was.rss_kib, is.rss_kib,
                static_cast<double>(is.rss_kib) / static_cast<double>(std::max(was.rss_kib, 1L)));
    EXPECT_LE(is.rss_kib, was.rss_kib + was.rss_kib / 4 + 1024) << name;
  }
  EXPECT_EQ(after.daemons.size(), before.daemons.size());
  EXPECT_EQ(gateway_.Krux({"audit", "verify"}).exit, 0);
}

}  // namespace
}  // namespace krux::tools
