#include "tests/tools/krux_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tools/json.h"

namespace krux::tools {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  Pipe() { ok = pipe2(fds, O_CLOEXEC) == 0; }
  int fds[2] = {-1, -1};
  bool ok = false;
};

[[noreturn]] void Become(const std::vector<std::string>& argv, const RunOptions& options, int in,
                         int out, int err) {
  if (!options.stdin_file.empty()) in = open(options.stdin_file.c_str(), O_RDONLY | O_CLOEXEC);
  dup2(in, 0);
  dup2(out, 1);
  dup2(err, 2);
  if (options.uid) {
    if (setgroups(0, nullptr) != 0 || setgid(*options.uid) != 0 || setuid(*options.uid) != 0)
      _exit(126);
  }
  if (chdir(options.cwd.c_str()) != 0) _exit(126);
  std::vector<std::string> environment{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TERM=xterm"};
  environment.insert(environment.end(), options.environment.begin(), options.environment.end());
  std::vector<char*> env;
  for (std::string& entry : environment) env.push_back(entry.data());
  env.push_back(nullptr);
  std::vector<std::string> copy = argv;
  std::vector<char*> words;
  for (std::string& word : copy) words.push_back(word.data());
  words.push_back(nullptr);
  execve(words[0], words.data(), env.data());
  _exit(127);
}

// Reads what is there; false when this end is finished.
bool Drain(int fd, std::string* text) {
  char buffer[64 * 1024];
  const ssize_t got = read(fd, buffer, sizeof buffer);
  if (got > 0) text->append(buffer, static_cast<size_t>(got));
  return got > 0;  // a terminal without a writer answers EIO
}

int Wait(pid_t child, Clock::time_point end) {
  int status = 0;
  for (;;) {
    const pid_t done = waitpid(child, &status, WNOHANG);
    if (done == child) break;
    if (Clock::now() > end) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return -1;
    }
    poll(nullptr, 0, 5);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

pid_t ParentOf(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("PPid:")) return static_cast<pid_t>(std::atoi(line.c_str() + 5));
  }
  return 0;
}

}  // namespace

Ran RunProgram(const std::vector<std::string>& argv, const RunOptions& options) {
  Pipe in, out, err;
  int terminal = -1;
  int its_side = -1;
  if (options.terminal || options.stdin_terminal) {
    termios raw = {};
    cfmakeraw(&raw);  // no newline translation: what is written is what is seen
    if (openpty(&terminal, &its_side, nullptr, &raw, nullptr) != 0) return {};
  }
  const pid_t child = fork();
  if (child == 0) {
    Become(argv, options, options.stdin_terminal ? its_side : in.fds[0],
           options.terminal ? its_side : out.fds[1], options.terminal ? its_side : err.fds[1]);
  }
  close(in.fds[0]);
  close(out.fds[1]);
  close(err.fds[1]);
  if (its_side >= 0) close(its_side);
  [[maybe_unused]] const ssize_t written =
      write(in.fds[1], options.stdin_text.data(), options.stdin_text.size());
  close(in.fds[1]);

  Ran ran;
  const auto end = Clock::now() + std::chrono::milliseconds(options.timeout_ms);
  pollfd polls[2] = {{options.terminal ? terminal : out.fds[0], POLLIN, 0},
                     {options.terminal ? -1 : err.fds[0], POLLIN, 0}};
  while ((polls[0].fd >= 0 || polls[1].fd >= 0) && Clock::now() < end) {
    if (poll(polls, 2, 100) <= 0) continue;
    if (polls[0].revents != 0 && !Drain(polls[0].fd, &ran.out)) polls[0].fd = -1;
    if (polls[1].revents != 0 && !Drain(polls[1].fd, &ran.err)) polls[1].fd = -1;
  }
  ran.exit = Wait(child, end);
  close(out.fds[0]);
  close(err.fds[0]);
  if (terminal >= 0) close(terminal);
  return ran;
}

std::string KruxProgram() { return KRUX_PROGRAM; }

std::string NeedsDegraded() {
  static const std::string asked = [] {
    std::string layers = RunProgram({KruxProgram(), "doctor", "--needs-degraded"}).out;
    while (!layers.empty() && layers.back() == '\n') layers.pop_back();
    return layers;
  }();
  return asked;
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Programs::Programs() : folder_("/tmp/krux-programs-" + std::to_string(getpid())) {
  std::filesystem::create_directory(folder_);
  chmod(folder_.c_str(), 0755);
  const auto from = std::filesystem::path(KruxProgram()).parent_path();
  for (const char* name : {"krux", "kruxd", "krux-auditd", "krux-mountd", "krux-spawnd"})
    std::filesystem::copy_file(from / name, folder_ / std::filesystem::path(name));
}

Programs::~Programs() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

gateway::GatewayPaths PrivateGateway::Paths() const {
  gateway::GatewayPaths paths;
  paths.owner = owner_.value_or(geteuid());
  paths.runtime_dir = root_ + "/run";
  paths.state_dir = state();
  paths.gateway_socket = paths.runtime_dir + "/gateway.sock";
  paths.admin_socket = paths.runtime_dir + "/admin.sock";
  return paths;
}

PrivateGateway::PrivateGateway(std::optional<uid_t> owner, std::string program)
    : owner_(owner), program_(std::move(program)), root_("/tmp/krux-test-XXXXXX") {
  if (mkdtemp(root_.data()) == nullptr) abort();
  chmod(root_.c_str(), 0711);  // the daemons' own users pass through
  for (const std::string& path : {work(), root_ + "/home"}) {
    mkdir(path.c_str(), 0755);
  }
  if (owner_) {
    for (const std::string& path : {root_, work(), root_ + "/home"}) {
      if (chown(path.c_str(), *owner_, *owner_) != 0) abort();
    }
  }
}

PrivateGateway::~PrivateGateway() {
  Krux({"gateway", "stop"});
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

Ran PrivateGateway::Krux(std::vector<std::string> words, RunOptions options) const {
  const std::string degraded = options.as_it_is ? "" : NeedsDegraded();
  if (!degraded.empty()) {
    if (!words.empty() && words[0] == "call")
      words.insert(words.begin() + 1, "--allow-degraded=" + degraded);
    if (words.size() > 1 && words[0] == "gateway" && words[1] == "start") {
      words.insert(words.begin() + 2, "--allow-degraded=" + degraded);
    }
  }
  words.insert(words.begin(), program_);
  if (options.cwd == "/") options.cwd = work();
  options.environment.push_back("HOME=" + root_ + "/home");
  options.environment.push_back("KRUX_STATE_DIR=" + state());
  options.environment.push_back("KRUX_RUNTIME_DIR=" + root_ + "/run");
  if (owner_) options.uid = owner_;
  return RunProgram(words, options);
}

Ran PrivateGateway::Start(const std::vector<std::string>& words) const {
  std::vector<std::string> all{"gateway", "start", "-o", "json"};
  all.insert(all.end(), words.begin(), words.end());
  return Krux(all);
}

pid_t PrivateGateway::Kruxd() const {
  const Ran status = Krux({"status", "-o", "json"});
  const Result<cbor::Value> value = ParseJson(status.out);
  if (!value || value->map() == nullptr) return 0;
  const cbor::Value* pid = value->map()->Find("pid");
  return pid != nullptr && pid->uint() != nullptr ? static_cast<pid_t>(*pid->uint()) : 0;
}

pid_t PrivateGateway::Daemon(const std::string& name) const {
  const pid_t kruxd = Kruxd();
  if (kruxd == 0) return 0;
  const pid_t supervisor = ParentOf(kruxd);
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = static_cast<pid_t>(std::atoi(entry.path().filename().c_str()));
    if (pid <= 0 || ParentOf(pid) != supervisor) continue;
    const std::string words = FirstLine("/proc/" + std::to_string(pid) + "/cmdline");
    if (words.substr(0, words.find('\0')).ends_with(name)) return pid;
  }
  return 0;
}

}  // namespace krux::tools
