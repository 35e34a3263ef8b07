// What an attack costs a victim that has nothing to do with it.
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/clock.h"
#include "gateway/client/client.h"
#include "tests/hostile/attacks.h"

namespace krux::hostile {
namespace {

constexpr int kAttackGrowsMs = 500;     // before the victim's first call counts
constexpr int kAttackEndsMs = 120'000;  // for one that counts

// An attack in a process of its own; its end is as sudden as a client's can be.
class Assault {
 public:
  Assault(const Attack& attack, const Field& field)
      : tally_(static_cast<Tally*>(mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    pid_ = fork();
    if (pid_ != 0) return;
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    attack.run(field, *tally_);
    tally_->finished = 1;
    for (;;) pause();
  }
  ~Assault() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    munmap(tally_, sizeof(Tally));
  }
  Assault(const Assault&) = delete;
  Assault& operator=(const Assault&) = delete;

  const Tally& tally() const { return *tally_; }

 private:
  Tally* tally_;
  pid_t pid_;
};

}  // namespace

double Measured::At(double p) const {
  if (sorted_us.empty()) return 0;
  return sorted_us[static_cast<size_t>(p * static_cast<double>(sorted_us.size() - 1))];
}

Result<Measured> Measure(const Field& field, size_t n, const Attack* attack) {
  const std::string path = field.victim_work + "/file";
  std::ifstream file(path, std::ios::binary);
  const std::string expected{std::istreambuf_iterator<char>(file),
                             std::istreambuf_iterator<char>()};
  gateway::Client victim = KRUX_TRY(gateway::Client::Connect(field.paths));
  const gateway::WorkDir work = KRUX_TRY(gateway::ChooseWork(field.victim_work));
  KRUX_TRY(victim.Open(work));
  KRUX_TRY(victim.Call("fs.read", {{"path", path}}));  // its template stands before we count
  std::optional<Assault> assault;
  if (attack != nullptr) {
    assault.emplace(*attack, field);
    poll(nullptr, 0, kAttackGrowsMs);
  }
  Measured measured;
  for (size_t i = 0; i < n; ++i) {
    const uint64_t begin = SystemClock().MonotonicNs();
    gateway::Reply reply = KRUX_TRY(victim.Call("fs.read", {{"path", path}}));
    const uint64_t end = SystemClock().MonotonicNs();
    const Result<std::string> content = reply.output.ReadAll();
    if (!reply.ok || !content || *content != expected) ++measured.wrong;
    measured.sorted_us.push_back(static_cast<double>(end - begin) / 1000);
  }
  std::ranges::sort(measured.sorted_us);
  if (attack == nullptr) return measured;
  const bool counts = std::string_view(attack->name) == "frames";
  for (int waited = 0; counts && assault->tally().finished == 0 && waited < kAttackEndsMs;
       waited += 20) {
    poll(nullptr, 0, 20);
  }
  if (counts && assault->tally().finished == 0) ++measured.wrong;
  measured.attacks_done = assault->tally().done;
  measured.wrong += assault->tally().wrong;
  return measured;
}

Footprint FootprintOf(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  Footprint footprint;
  std::ifstream status(folder + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) footprint.rss_kib = std::stoull(line.substr(6));
  }
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(folder + "/fd", error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    ++footprint.fds;
  }
  return footprint;
}

}  // namespace krux::hostile
