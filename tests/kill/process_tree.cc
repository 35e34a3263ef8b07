#include "tests/kill/process_tree.h"

#include <poll.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/channel.h"

namespace krux::kill_tests {
namespace {

// proc_pid_stat(5): "pid (comm) state ppid …", starttime is field 22; comm may hold blanks.
bool ReadStat(pid_t pid, Process* process) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line) || line.rfind(')') == std::string::npos) return false;
  std::istringstream words(line.substr(line.rfind(')') + 2));
  char state = 0;
  words >> state >> process->parent;
  std::string skipped;
  for (int field = 5; field < 22; ++field) words >> skipped;
  words >> process->start;
  process->pid = pid;
  return state != 'Z' && state != 'X';
}

std::string NameOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
  std::string name;
  std::getline(file, name, '\0');
  return name.substr(name.rfind('/') + 1);
}

std::vector<Process> Everybody() {
  std::vector<Process> all;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const pid_t pid = static_cast<pid_t>(std::atoi(entry.path().filename().c_str()));
    Process process;
    if (pid > 0 && ReadStat(pid, &process)) all.push_back(process);
  }
  return all;
}

Process ChildOf(const std::vector<Process>& tree, pid_t parent, const std::string& name) {
  for (const Process& process : tree) {
    if (process.parent == parent && process.name == name) return process;
  }
  return {};
}

}  // namespace

pid_t ServerOf(const std::string& path) {
  const auto channel = Channel::Connect(path);
  if (!channel) return 0;
  const auto peer = channel->Peer();
  return peer ? peer->pid : 0;
}

std::vector<Process> ProcessTree(pid_t root) {
  std::vector<Process> tree;
  const std::vector<Process> all = Everybody();
  for (const Process& process : all) {
    if (process.pid == root) tree.push_back(process);
  }
  for (size_t i = 0; i < tree.size(); ++i) {
    for (const Process& process : all) {
      if (process.parent == tree[i].pid) tree.push_back(process);
    }
  }
  for (Process& process : tree) process.name = NameOf(process.pid);
  return tree;
}

bool Runs(const Process& process) {
  Process now;
  return ReadStat(process.pid, &now) && now.start == process.start;
}

std::vector<std::string> RunningFrom(const std::string& dir) {
  std::vector<std::string> running;
  for (const Process& process : Everybody()) {
    std::error_code error;
    const auto program =
        std::filesystem::read_symlink("/proc/" + std::to_string(process.pid) + "/exe", error);
    if (!error && program.string().starts_with(dir + "/"))
      running.push_back(NameOf(process.pid) + " (" + std::to_string(process.pid) + ")");
  }
  return running;
}

Process FindPart(pid_t supervisor, const std::string& part) {
  const std::vector<Process> tree = ProcessTree(supervisor);
  if (tree.empty()) return {};
  if (part == "supervisor") return tree[0];
  if (part == "kruxd") return ChildOf(tree, supervisor, "kruxd");
  if (part == "auditd" || part == "mountd" || part == "spawnd")
    return ChildOf(tree, supervisor, "krux-" + part);
  const Process outer = ChildOf(tree, supervisor, "krux-spawnd");
  const Process inner = ChildOf(tree, outer.pid, "krux-spawnd");
  if (part == "inner" || outer.pid == 0 || inner.pid == 0) return inner;
  return ChildOf(tree, inner.pid, "krux-spawnd");
}

bool Within(int milliseconds, const std::function<bool()>& condition) {
  for (int waited = 0; waited < milliseconds; waited += 5) {
    if (condition()) return true;
    poll(nullptr, 0, 5);
  }
  return condition();
}

}  // namespace krux::kill_tests
