#include "tests/kill/scenario.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include "base/unique_fd.h"
#include "tests/kill/process_tree.h"
#include "tests/tools/krux_process.h"
#include "tools/json.h"

namespace krux::kill_tests {
namespace {

namespace fs = std::filesystem;
using tools::Ran;

constexpr int kClientMs = 40'000;

std::string LastLine(const std::string& text) {
  std::istringstream lines(text);
  std::string last;
  for (std::string line; std::getline(lines, line);) last = line;
  return last;
}

uint64_t Number(const cbor::Map& map, const char* key) {
  const cbor::Value* value = map.Find(key);
  return value != nullptr && value->uint() != nullptr ? *value->uint() : 0;
}

std::string Text(const cbor::Map& map, const char* key) {
  const cbor::Value* value = map.Find(key);
  return value != nullptr && value->text() != nullptr ? *value->text() : "";
}

class Stage {
 public:
  explicit Stage(const Scenario& scenario)
      : scenario_(scenario), gateway_(scenario.owner, scenario.programs + "/krux") {
    lib_ = gateway_.root() + "/lib";
    marker_ = gateway_.Path("marker");
    Arm();
    tools::WriteFile(gateway_.Path("file"), "content");
    chmod(gateway_.Path("file").c_str(), 0644);
  }

  Seen Play() {
    StartClient();
    if (AwaitPoint()) {
      Kill();
      Release();
    }
    AwaitClient();
    CheckWhatTheClientHeard();
    CheckThatTheNextCallWorks();
    CheckThatTheOldOnesAreGone();
    CheckLog();
    CheckThatNothingStays();
    return std::move(seen_);
  }

  Seen PlayWithAStoppedLog() {
    if (Krux({"gateway", "start"}).exit != 0) Wrong("it did not start");
    const pid_t supervisor = ServerOf(Socket());
    const Process auditd = FindPart(supervisor, "auditd");
    old_ = ProcessTree(supervisor);
    kill(auditd.pid, SIGSTOP);
    StartClient();
    // Either it acts, or it is given up for want of a record.
    Within(10'000, [&] {
      siginfo_t ended{};
      waitid(P_PID, static_cast<id_t>(client_), &ended, WEXITED | WNOHANG | WNOWAIT);
      return fs::exists(marker_) || ended.si_pid == client_;
    });
    kill(auditd.pid, SIGKILL);
    fs::remove(lib_ + "/stop-at");
    killed_ = true;
    AwaitClient();
    CheckThatTheNextCallWorks();
    CheckLog();
    CheckThatNothingStays();
    return std::move(seen_);
  }

 private:
  void Wrong(const std::string& what) { seen_.wrong.push_back(what); }
  std::string Socket() const { return gateway_.root() + "/run/gateway.sock"; }

  Ran Krux(const std::vector<std::string>& words) const {
    return gateway_.Krux(words,
                         {.environment = {"KRUX_LIBEXEC_DIR=" + lib_}, .timeout_ms = kClientMs});
  }

  // kruxd finds its stop point beside itself, so it has a folder of its own here.
  void Arm() {
    fs::create_directory(lib_);
    for (const char* name : {"krux-auditd", "krux-mountd", "krux-spawnd"})
      fs::create_symlink(scenario_.programs + "/" + name, lib_ + "/" + name);
    fs::copy_file(scenario_.programs + "/kruxd", lib_ + "/kruxd");
    tools::WriteFile(lib_ + "/stop-at", scenario_.point);
    for (const char* name : {"reached", "go"}) {
      mkfifo((lib_ + "/" + name).c_str(), 0666);
      chmod((lib_ + "/" + name).c_str(), 0666);
    }
    chmod(lib_.c_str(), 0755);
    reached_ = UniqueFd(open((lib_ + "/reached").c_str(), O_RDWR | O_CLOEXEC));
    go_ = UniqueFd(open((lib_ + "/go").c_str(), O_RDWR | O_CLOEXEC));
  }

  // A program with an effect that stays. Where the call is held after Go, it is still at work.
  void StartClient() {
    const bool long_one = scenario_.point == "collect";
    const std::string script = "echo made > marker; " + std::string(long_one ? "sleep 60" : ":");
    client_ = fork();
    if (client_ != 0) return;
    const Ran ran =
        Krux({"call", "--profile", "local_dev", "proc.exec", "--", "/bin/sh", "-c", script});
    tools::WriteFile(gateway_.root() + "/client.err", ran.err);
    _exit(ran.exit < 0 ? 255 : ran.exit);
  }

  bool AwaitPoint() {
    pollfd fd{reached_.get(), POLLIN, 0};
    const bool there = poll(&fd, 1, 20'000) == 1;
    fs::remove(lib_ + "/stop-at");  // only this generation stops
    if (!there) Wrong("the call never came to this point");
    return there;
  }

  // A worker exists from the moment it was asked for until it has ended.
  bool WorkerExpected() const {
    return scenario_.point == "spawn_sent" || scenario_.point == "ready" ||
           scenario_.point == "collect";
  }

  void Kill() {
    const pid_t supervisor = ServerOf(Socket());
    if (scenario_.point == "collect" && !Within(5'000, [&] { return fs::exists(marker_); }))
      Wrong("the program did not begin");
    Process victim;
    const bool wanted = scenario_.victim != "worker" || WorkerExpected();
    if (wanted) {
      Within(3'000, [&] {
        victim = FindPart(supervisor, scenario_.victim);
        return victim.pid != 0;
      });
      if (victim.pid == 0) Wrong("there is no " + scenario_.victim + " to kill");
    }
    old_ = ProcessTree(supervisor);
    if (victim.pid == 0) return;
    killed_ = true;
    kill(victim.pid, SIGKILL);
    if (!Within(5'000, [&] { return !Runs(victim); })) Wrong(victim.name + " survived");
  }

  void Release() { [[maybe_unused]] const ssize_t written = write(go_.get(), ".", 1); }

  void AwaitClient() {
    int status = 0;
    const bool ended =
        Within(kClientMs + 2'000, [&] { return waitpid(client_, &status, WNOHANG) == client_; });
    if (!ended) {
      kill(client_, SIGKILL);
      waitpid(client_, &status, 0);
      Wrong("the client hangs");
    }
    seen_.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    err_ = tools::ReadFile(gateway_.root() + "/client.err");
    seen_.said = LastLine(err_);
    seen_.effect = fs::exists(marker_);
  }

  void CheckWhatTheClientHeard() {
    static constexpr int kDocumented[] = {0, 1, 69, 70, 71, 74};
    if (std::find(std::begin(kDocumented), std::end(kDocumented), seen_.exit) ==
        std::end(kDocumented))
      Wrong("the client ended with " + std::to_string(seen_.exit));
    if (!killed_ && seen_.exit != 0) Wrong("nobody was killed and the call failed");
    std::istringstream lines(err_);
    int sentences = 0;
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("krux: ")) Wrong("it printed `" + line + "`");
      if (line.find("started a private gateway") == std::string::npos) ++sentences;
    }
    if (sentences != (seen_.exit == 0 ? 0 : 1))
      Wrong(std::to_string(sentences) + " sentences: " + err_);
    const bool denies_effect = seen_.exit == 71 || err_.find("nothing ran") != std::string::npos;
    if (denies_effect && seen_.effect) Wrong("it says that nothing ran, and there is an effect");
    if (seen_.exit == 0 && !seen_.effect) Wrong("it succeeded without its effect");
  }

  void CheckThatTheNextCallWorks() {
    const Ran next = Krux({"call", "fs.read", "file"});
    if (next.exit != 0 || next.out != "content")
      Wrong("the next call ended with " + std::to_string(next.exit) + ": " + next.err);
  }

  // Of the generation that died. Where only a worker was killed the daemons stay.
  void CheckThatTheOldOnesAreGone() {
    if (!killed_ || scenario_.victim == "worker") return;
    for (const Process& process : old_) {
      const bool stays = process.name == "krux" && scenario_.victim != "supervisor";
      if (!stays && !Within(5'000, [&] { return !Runs(process); }))
        Wrong(process.name + " of the old generation still runs");
    }
  }

  void CheckLog() {
    const Ran verified = Krux({"audit", "verify"});
    if (verified.exit != 0)
      Wrong("verify: " + std::to_string(verified.exit) + " " + verified.out + verified.err);
    const Ran tail = Krux({"audit", "tail", "-n", "100000", "-o", "jsonl"});
    std::map<uint64_t, std::string> intents;  // seq → how it ended
    std::map<std::string, int> calls;
    uint64_t ours = 0;
    std::istringstream lines(tail.out);
    for (std::string line; std::getline(lines, line);) {
      const Result<cbor::Value> value = tools::ParseJson(line);
      if (!value || value->map() == nullptr) return Wrong("not JSON: " + line);
      const cbor::Map& record = *value->map();
      const std::string kind = Text(record, "kind");
      if (kind == "intent") {
        intents[Number(record, "seq")] = "";
        if (++calls[Text(record, "call_id")] > 1) Wrong("a call id appears twice");
        if (Text(record, "capability") == "proc.exec") {
          if (ours != 0) Wrong("the call was made twice");
          ours = Number(record, "seq");
        }
      } else if (kind == "outcome" || (kind == "recovered" && Number(record, "form") == 0)) {
        std::string& end = intents[Number(record, "intent_seq")];
        if (!end.empty()) Wrong("an intent is closed twice");
        end = kind == "outcome" ? Text(record, "status") : kind;
      }
    }
    for (const auto& [seq, end] : intents) {
      if (end.empty()) Wrong("intent " + std::to_string(seq) + " was never closed");
    }
    seen_.record_end = ours == 0 ? "–" : intents[ours];
    if (seen_.effect && ours == 0) Wrong("an effect without an intent");
    if (seen_.exit == 0 && seen_.record_end != "ok") Wrong("success, recorded as otherwise");
  }

  void CheckThatNothingStays() {
    const pid_t supervisor = ServerOf(Socket());
    const std::vector<Process> last = ProcessTree(supervisor);
    const Ran stopped = Krux({"gateway", "stop"});
    if (stopped.exit != 0) Wrong("stop: " + stopped.err);
    for (const Process& process : last) {
      if (!Within(5'000, [&] { return !Runs(process); }))
        Wrong(process.name + " outlives the stop");
    }
    // kruxd has its own copy here.
    if (!Within(5'000, [&] { return RunningFrom(lib_).empty(); })) Wrong("a kruxd stays");
    for (const char* folder : {"run", "state"}) {
      const UniqueFd lock(
          open((gateway_.root() + "/" + folder + "/gateway.lock").c_str(), O_RDWR | O_CLOEXEC));
      if (!lock.valid() || flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        Wrong(std::string("the lock in ") + folder + " is not free");
    }
    for (const pid_t pid : {supervisor, old_.empty() ? 0 : old_[0].pid}) {
      for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
        if (fs::exists(std::string(mount) + "/krux-" + std::to_string(pid)))
          Wrong("a cgroup stays");
      }
    }
  }

  const Scenario& scenario_;
  tools::PrivateGateway gateway_;
  std::string lib_;
  std::string marker_;
  UniqueFd reached_;
  UniqueFd go_;
  pid_t client_ = 0;
  std::string err_;
  std::vector<Process> old_;
  bool killed_ = false;
  Seen seen_;
};

}  // namespace

std::string InstallPrograms() {
  std::string dir = "/tmp/krux-kill-XXXXXX";
  if (mkdtemp(dir.data()) == nullptr) abort();
  chmod(dir.c_str(), 0755);
  const fs::path built = fs::path(tools::KruxProgram()).parent_path();
  for (const char* name : {"krux", "krux-auditd", "krux-mountd", "krux-spawnd"})
    fs::copy_file(built / name, fs::path(dir) / name);
  fs::copy_file(built / "kruxd-stops", fs::path(dir) / "kruxd");
  return dir;
}

Seen Play(const Scenario& scenario) { return Stage(scenario).Play(); }

Seen PlayWithAStoppedLog(const Scenario& scenario) { return Stage(scenario).PlayWithAStoppedLog(); }

}  // namespace krux::kill_tests
