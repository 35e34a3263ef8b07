// Every process killed at every point of a call, as root and as an ordinary user. Prints the table
// that docs/RECOVERY.md explains: the client's exit code and how the call ends in the log.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "gateway/stop_point.h"
#include "tests/house/tree.h"
#include "tests/kill/process_tree.h"
#include "tests/kill/scenario.h"
#include "tests/tools/krux_process.h"

namespace krux::kill_tests {
namespace {

constexpr const char* kVictims[] = {"worker", "spawnd", "inner",     "mountd",
                                    "auditd", "kruxd",  "supervisor"};
constexpr uid_t kSomebody = 61234;

// What docs/RECOVERY.md allows: victim and point → entries like "69 recovered".
std::map<std::pair<std::string, std::string>, std::set<std::string>> ReadTable() {
  std::map<std::pair<std::string, std::string>, std::set<std::string>> table;
  std::vector<std::string> heads;
  bool inside = false;
  for (const std::string& line : house::Lines("docs/RECOVERY.md")) {
    if (line == "<!-- kill table: read by tests/kill/matrix_test.cc -->") inside = true;
    if (line == "<!-- end of kill table -->") inside = false;
    const std::vector<std::string> cells = inside ? house::Cells(line) : std::vector<std::string>();
    if (cells.size() < 2) continue;
    if (heads.empty()) heads = cells;
    for (const std::string& point : house::Quoted(cells[0])) {
      for (size_t i = 1; i < cells.size() && i < heads.size(); ++i) {
        std::istringstream victims(heads[i]);
        for (std::string victim; std::getline(victims >> std::ws, victim, ',');) {
          for (const std::string& entry : house::Quoted(cells[i]))
            table[{victim, point}].insert(entry);
        }
      }
    }
  }
  return table;
}

struct Cell {
  std::string text;   // "69 recovered"
  std::string wrong;  // empty: all held
};

// What a scenario saw, by way of a file: each is played by a process of its own.
void Write(const std::string& path, const Seen& seen) {
  std::string text = std::to_string(seen.exit) + " " + seen.record_end + "\n";
  for (const std::string& wrong : seen.wrong) text += wrong + "\n";
  if (!seen.wrong.empty()) text += "(the client said: " + seen.said + ")\n";
  if (getenv("KRUX_KILL_SAID") != nullptr) std::fprintf(stderr, "%s\n", seen.said.c_str());
  tools::WriteFile(path, text);
}

Cell Read(const std::string& path) {
  const std::string text = tools::ReadFile(path);
  if (text.empty()) return {"?", "the scenario itself died"};
  const size_t end = text.find('\n');
  return {text.substr(0, end), text.substr(end + 1)};
}

std::vector<Cell> PlayAll(const std::vector<Scenario>& scenarios, const std::string& dir) {
  const size_t at_once = std::max(4u, 2 * std::thread::hardware_concurrency());
  std::map<pid_t, size_t> running;
  std::vector<Cell> cells(scenarios.size());
  const auto reap = [&] {
    int status = 0;
    const pid_t done = waitpid(-1, &status, 0);
    const auto it = running.find(done);
    if (it == running.end()) return;
    cells[it->second] = Read(dir + "/" + std::to_string(it->second));
    running.erase(it);
  };
  for (size_t i = 0; i < scenarios.size(); ++i) {
    while (running.size() >= at_once) reap();
    const pid_t child = fork();
    if (child == 0) {
      Write(dir + "/" + std::to_string(i), Play(scenarios[i]));
      _exit(0);
    }
    running[child] = i;
  }
  while (!running.empty()) reap();
  return cells;
}

void PlayMatrix(std::optional<uid_t> owner) {
  const std::string programs = InstallPrograms();
  (void)tools::NeedsDegraded();  // asked once, before there are many of us
  std::vector<Scenario> scenarios;
  for (const char* point : gateway::kStopPoints) {
    for (const char* victim : kVictims) scenarios.push_back({victim, point, owner, programs});
  }
  const std::string dir = programs + "/seen";
  std::filesystem::create_directory(dir);
  auto table = ReadTable();
  const std::vector<Cell> cells = PlayAll(scenarios, dir);
  std::printf("%-15s", "");
  for (const char* victim : kVictims) std::printf("%-17s", victim);
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i % std::size(kVictims) == 0) std::printf("\n%-15s", scenarios[i].point.c_str());
    // "–" takes three bytes and one column.
    const int width = cells[i].text.ends_with("–") ? 19 : 17;
    std::printf("%-*s", width, cells[i].text.c_str());
    EXPECT_TRUE(table[std::pair(scenarios[i].victim, scenarios[i].point)].contains(cells[i].text))
        << "docs/RECOVERY.md does not know `" << cells[i].text << "` for " << scenarios[i].victim
        << " killed at " << scenarios[i].point;
    EXPECT_EQ(cells[i].wrong, "") << scenarios[i].victim << " killed at " << scenarios[i].point;
  }
  std::printf("\n");
  EXPECT_TRUE(Within(5'000, [&] { return RunningFrom(programs).empty(); }))
      << RunningFrom(programs).front() << " stays when everything has ended";
  std::error_code ignored;
  std::filesystem::remove_all(programs, ignored);
}

TEST(KillMatrix, EveryProcessAtEveryPointOfACall) { PlayMatrix(std::nullopt); }

TEST(KillMatrix, EveryProcessAtEveryPointOfACallOfAnOrdinaryUser) {
  if (geteuid() != 0) GTEST_SKIP() << "then the other one is that of an ordinary user";
  PlayMatrix(kSomebody);
}

// The check itself: it must see an effect that the log does not know, where there is one.
TEST(KillMatrix, AnEffectWithoutItsIntentIsNoticed) {
  const std::string programs = InstallPrograms();
  const Seen with = PlayWithAStoppedLog({"auditd", "nowhere", std::nullopt, programs});
  EXPECT_FALSE(with.effect);
  EXPECT_EQ(with.wrong, std::vector<std::string>());
  EXPECT_EQ(with.exit, 74) << with.said;
  const Seen without = PlayWithAStoppedLog({"auditd", "without barrier", std::nullopt, programs});
  EXPECT_TRUE(without.effect);
  EXPECT_NE(std::find(without.wrong.begin(), without.wrong.end(), "an effect without an intent"),
            without.wrong.end());
  std::filesystem::remove_all(programs);
}

}  // namespace
}  // namespace krux::kill_tests
