#include "verification/diff/mutants.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "verification/diff/bounds.h"
#include "verification/diff/campaign.h"
#include "verification/diff/generate.h"

namespace krux::diff {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* kFiles[] = {"decide.c", "encode.c", "policy.c", "step.c", "tables.def"};
constexpr unsigned kSecondsToKill = 10;
constexpr char kCompared = '!';

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// What a mutant's process ends with.
enum End : int { kSurvived = 0, kAnswer = 1, kBounds = 2, kNotLoaded = 3, kNotCompiled = 4 };

struct Fate {
  End end = kSurvived;
  std::string how;
  double seconds = 0;
  bool killed() const { return end == kAnswer || end == kBounds; }
};

// Key, less the paragraph of reasons: file and function, "- line", "+ line".
std::set<std::string> ReadEquivalent(const std::string& text) {
  std::set<std::string> keys;
  std::string key;
  size_t lines = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty() || line.starts_with('#')) {
      key.clear();
      lines = 0;
      continue;
    }
    if (++lines <= 3) key += (lines == 1 ? "" : "\n") + line;
    if (lines == 4) keys.insert(key);  // the fourth line begins the reason; without one it is none
  }
  return keys;
}

// A folder of its own that goes with it.
class Workplace {
 public:
  Workplace() {
    std::string name = (fs::temp_directory_path() / "krux-mutants-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  ~Workplace() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

int Run(const std::vector<std::string>& command, const fs::path& log) {
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> words;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(out, STDERR_FILENO);
    execvp(words[0], words.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

class Killer {
 public:
  explicit Killer(const MutantPlan& plan) : plan_(plan) {}

  std::string Prepare() {
    const auto keep = [&](Batch& batch) {
      batches_.push_back(std::move(batch));
      return true;
    };
    std::string error = RandomBatches(plan_.oracle, plan_.seed, plan_.events, keep);
    if (error.empty()) error = SingleStepBatches(plan_.oracle, keep);
    if (!error.empty()) return error;
    for (const Batch& batch : batches_) {
      events_ += batch.events();
      if (FirstDifference(Shipped(), batch, nullptr))
        return "the kernel itself differs from the oracle";
    }
    const std::string broken = BrokenAtBounds(Shipped());
    return broken.empty() ? "" : "the kernel itself is broken at 2^64: " + broken;
  }

  // Starts the mutant in a process of its own; what it prints is `how`.
  pid_t Start(const Mutation& mutation, size_t number, int pipe) const {
    const pid_t child = fork();
    if (child != 0) return child;
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    // The last words of a dying mutant are of no interest.
    dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    std::string how;
    const End end = Try(mutation, workplace_.path() / std::to_string(number), pipe, how);
    if (write(pipe, how.data(), how.size()) < 0) _exit(kNotLoaded);
    _exit(end);
  }
  // The objects of the first mutant, which is none, are those of the kernel as it is.
  void KeepObjects() const {
    for (const auto& entry : fs::directory_iterator(workplace_.path() / "0")) {
      if (entry.path().extension() == ".o")
        fs::rename(entry.path(), workplace_.path() / entry.path().filename());
    }
    fs::remove_all(workplace_.path() / "0");
  }
  uint64_t events() const { return events_; }

 private:
  // Compiles what the mutation touched and links it with the rest as it was.
  bool Compile(const fs::path& folder, const std::string& file) const {
    std::vector<std::string> command{
        plan_.compiler, "-std=c11", "-O1", "-w", "-fPIC",
        // What is undefined ends it there and then, as it would under the tests' sanitizers.
        "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", "-I", folder};
    std::vector<std::string> link = command;
    command.insert(command.end(), {"-c", ""});
    link.insert(link.end(), {"-shared", "-o", folder / "mutant.so"});
    for (const char* source : kFiles) {
      if (!std::string_view(source).ends_with(".c")) continue;
      const std::string object = std::string(source) + ".o";
      const fs::path kept = workplace_.path() / object;
      const bool touched = file == source || file.ends_with(".def") || !fs::exists(kept);
      link.push_back(touched ? folder / object : kept);
      if (!touched) continue;
      command.back() = folder / "policy" / "kernel" / source;
      std::vector<std::string> compile = command;
      compile.insert(compile.end(), {"-o", folder / object});
      if (Run(compile, folder / "log") != 0) return false;
    }
    return Run(link, folder / "log") == 0;
  }

  End Try(const Mutation& mutation, const fs::path& folder, int pipe, std::string& how) const {
    const fs::path kernel = folder / "policy" / "kernel";
    fs::create_directories(kernel);
    for (const auto& entry : fs::directory_iterator(fs::path(plan_.source) / "policy" / "kernel"))
      fs::copy(entry.path(), kernel / entry.path().filename());
    const std::string mutated = mutation.Apply(ReadFile(kernel / mutation.file));
    std::ofstream(kernel / mutation.file) << mutated;
    if (!Compile(folder, mutation.file)) return kNotCompiled;
    const Kernel mutant = Loaded(folder / "mutant.so", how);
    if (!how.empty()) return kNotLoaded;
    // Only what dies behind this line dies of being compared.
    if (write(pipe, &kCompared, 1) != 1) return kNotLoaded;
    alarm(kSecondsToKill);
    size_t before = 0;
    for (const Batch& batch : batches_) {
      if (const auto at = FirstDifference(mutant, batch, nullptr)) {
        how = "event " + std::to_string(before + *at);
        return kAnswer;
      }
      before += batch.events();
    }
    how = BrokenAtBounds(mutant);
    return how.empty() ? kSurvived : kBounds;
  }

  MutantPlan plan_;
  Workplace workplace_;
  std::vector<Batch> batches_;
  uint64_t events_ = 0;
};

struct Running {
  size_t mutation;
  int pipe;
  Clock::time_point began;
};

Fate Ended(int status, const Running& running) {
  Fate fate;
  char text[256];
  const ssize_t count = read(running.pipe, text, sizeof text);
  close(running.pipe);
  if (count > 0) fate.how.assign(text, static_cast<size_t>(count));
  fate.seconds = std::chrono::duration<double>(Clock::now() - running.began).count();
  const bool compared = fate.how.starts_with(kCompared);
  if (compared) fate.how.erase(0, 1);
  if (WIFEXITED(status)) {
    fate.end = static_cast<End>(WEXITSTATUS(status));
  } else if (!compared) {
    fate.end = kNotLoaded;
    fate.how = "its process died before the comparison";
  } else {
    fate.end = kAnswer;
    fate.how = WTERMSIG(status) == SIGALRM ? "it does not end" : "undefined behaviour";
  }
  return fate;
}

// Runs `mutations` from the front until `wanted` of them compiled.
std::vector<std::pair<Mutation, Fate>> RunAll(const Killer& killer, const MutantPlan& plan,
                                              const std::vector<Mutation>& mutations,
                                              size_t wanted) {
  std::map<size_t, Fate> fates;
  std::map<pid_t, Running> running;
  size_t next = 0;
  const auto compiled = [&] {
    return static_cast<size_t>(std::count_if(fates.begin(), fates.end(), [](const auto& fate) {
      return fate.second.end != kNotCompiled;
    }));
  };
  while (compiled() < wanted) {
    while (next < mutations.size() && running.size() < static_cast<size_t>(plan.jobs) &&
           compiled() + running.size() < wanted) {
      int ends[2];
      if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
      const pid_t child = killer.Start(mutations[next], next, ends[1]);
      close(ends[1]);
      running[child] = {next++, ends[0], Clock::now()};
    }
    if (running.empty()) break;
    int status = 0;
    const pid_t child = waitpid(-1, &status, 0);
    const auto which = running.find(child);
    if (which == running.end()) continue;
    fates[which->second.mutation] = Ended(status, which->second);
    running.erase(which);
  }
  std::vector<std::pair<Mutation, Fate>> all;
  for (const auto& [index, fate] : fates) all.emplace_back(mutations[index], fate);
  return all;
}

void Print(const Mutation& mutation, const Fate& fate) {
  std::printf("mutant %-7s %s:%d %s\n    - %s\n    + %s\n    %s%s (%.2f s)\n",
              fate.killed() ? "killed" : "LIVES", mutation.file.c_str(), mutation.line,
              mutation.function.c_str(), mutation.before.c_str(), mutation.after.c_str(),
              fate.end == kBounds ? "at 2^64: " : "", fate.how.c_str(), fate.seconds);
}

}  // namespace

MutationList ListMutations(const std::string& source) {
  MutationList list;
  const fs::path root(source);
  std::set<std::string> equivalent =
      ReadEquivalent(ReadFile(root / "verification" / "diff" / "equivalent_mutants.txt"));
  std::map<std::string, int> seen;
  for (const char* file : kFiles) {
    for (Mutation& mutation : MutationsOf(file, ReadFile(root / "policy" / "kernel" / file))) {
      if (equivalent.contains(mutation.Key())) {
        ++list.equivalent;
        ++seen[mutation.Key()];
      } else {
        list.mutations.push_back(std::move(mutation));
      }
    }
  }
  for (const std::string& key : equivalent) {
    if (!seen.contains(key))
      list.error += "the reviewed list names a mutation that is no more:\n" + key + "\n";
    // One text that stands for two places would hide the second.
    if (seen[key] > 1) list.error += "the reviewed list is ambiguous:\n" + key + "\n";
  }
  return list;
}

bool KillMutants(const MutantPlan& plan) {
  MutationList list = ListMutations(plan.source);
  if (!list.error.empty()) return std::printf("diff: %s", list.error.c_str()), false;
  Killer killer(plan);
  if (const std::string error = killer.Prepare(); !error.empty())
    return std::printf("diff: %s\n", error.c_str()), false;
  // The kernel as it is takes the same way and must live, or a kill says nothing.
  Mutation nothing;
  nothing.file = kFiles[0];
  const auto control = RunAll(killer, plan, {nothing}, 1);
  killer.KeepObjects();
  if (control.size() != 1 || control[0].second.end != kSurvived)
    return std::printf("diff: the kernel without a mutation does not survive\n"), false;
  const bool all = plan.count == 0;
  if (!all) {
    Random random(plan.seed);
    for (size_t i = list.mutations.size(); i > 1; --i)
      std::swap(list.mutations[i - 1], list.mutations[random.Below(i)]);
  }
  const size_t wanted = all ? list.mutations.size() : static_cast<size_t>(plan.count);
  const auto fates = RunAll(killer, plan, list.mutations, wanted);
  size_t killed = 0, by_bounds = 0, stillborn = 0, lived = 0;
  double slowest = 0;
  for (const auto& [mutation, fate] : fates) {
    stillborn += fate.end == kNotCompiled;
    if (fate.end == kNotCompiled) continue;
    killed += fate.killed();
    lived += !fate.killed();
    by_bounds += fate.end == kBounds;
    slowest = std::max(slowest, fate.seconds);
    if (!all || fate.end != kAnswer) Print(mutation, fate);
  }
  std::printf("diff: mutants of seed %" PRIu64
              ": %zu of %zu killed (%zu of them only at 2^64), slowest %.1f s, "
              "each on up to %" PRIu64
              " events;\n      %zu places to choose from%s, %zu more are equivalent "
              "(equivalent_mutants.txt)\n",
              plan.seed, killed, killed + lived, by_bounds, slowest, killer.events(),
              list.mutations.size(),
              all ? (", " + std::to_string(stillborn) + " of them do not compile").c_str() : "",
              list.equivalent);
  return lived == 0 && (all || killed >= wanted);
}

}  // namespace krux::diff
