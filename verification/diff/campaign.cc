#include "verification/diff/campaign.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "verification/diff/generate.h"
#include "verification/diff/wrapper.h"

namespace krux::diff {
namespace {

constexpr size_t kBatchEvents = 40'000;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Folders stand for the files in them.
std::vector<std::string> FilesOf(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path))
      files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Gathers runs and sends them off in batches.
class Sender {
 public:
  Sender(const std::string& oracle, const std::function<bool(Batch&)>& take)
      : oracle_(oracle), take_(take) {}
  void Add(const std::vector<Event>& run) {
    if (stopped_) return;
    batch_.Add(run);
    if (batch_.events() >= kBatchEvents) Flush();
  }
  void Flush() {
    if (stopped_ || batch_.events() == 0) return;
    error_ = Ask(oracle_, batch_);
    stopped_ = !error_.empty() || !take_(batch_);
    batch_ = Batch();
  }
  bool stopped() const { return stopped_; }
  const std::string& error() const { return error_; }

 private:
  const std::string& oracle_;
  const std::function<bool(Batch&)>& take_;
  Batch batch_;
  bool stopped_ = false;
  std::string error_;
};

std::string FileBatches(const Campaign& campaign, const std::function<bool(Batch&)>& take) {
  Sender sender(campaign.oracle, take);
  for (const std::string& path : FilesOf(campaign.inputs)) {
    const std::string bytes = ReadFile(path);
    sender.Add(RunOf({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
  }
  sender.Flush();
  return sender.error();
}

void Report(const Campaign& campaign, const Batch& batch, size_t at) {
  std::printf("diff: event %zu of a run differs; making it small\n", at);
  const Regression small = Shrink(Shipped(), campaign.oracle, RunAround(batch, at));
  const std::string text =
      WriteRegression(small, "The kernel and its model differed here (seed " +
                                 std::to_string(campaign.seed) + "). Behind `=>`: the model.");
  std::fputs(text.c_str(), stdout);
  if (campaign.regressions.empty()) return;
  const std::string path =
      campaign.regressions + "/seed-" + std::to_string(campaign.seed) + ".events";
  std::ofstream(path) << text;
  std::printf("diff: kept as %s\n", path.c_str());
}

}  // namespace

std::string SingleStepBatches(const std::string& oracle, const std::function<bool(Batch&)>& take) {
  Sender sender(oracle, take);
  EverySingleStep([&](const std::vector<Event>& step) { sender.Add(step); });
  sender.Flush();
  return sender.error();
}

std::string RandomBatches(const std::string& oracle, uint64_t seed, uint64_t events,
                          const std::function<bool(Batch&)>& take) {
  Sender sender(oracle, take);
  for (uint64_t run = 0, sent = 0; sent < events && !sender.stopped(); ++run) {
    const std::vector<Event> of_run = RandomRun(seed, run);
    sent += of_run.size() - kSessions;  // the opening is not counted
    sender.Add(of_run);
  }
  sender.Flush();
  return sender.error();
}

bool Compare(const Campaign& campaign) {
  Coverage coverage;
  uint64_t events = 0, runs = 0;
  bool same = true;
  const std::function<bool(Batch&)> take = [&](Batch& batch) {
    events += batch.events();
    runs += batch.runs.size();
    const auto at = FirstDifference(Shipped(), batch, &coverage);
    same = same && !at;
    if (at) Report(campaign, batch, *at);
    if (const auto wrapped = same ? FirstWrapperDifference(batch) : std::nullopt) {
      std::printf("diff: policy::Decide does not say what the kernel says: %s\n",
                  ToText(RunAround(batch, *wrapped).back()).c_str());
      same = false;
    }
    return same;
  };
  const auto stage = [&](const char* name, const std::string& error) {
    if (!error.empty()) std::printf("diff: %s\n", error.c_str());
    if (!error.empty() || !same) return false;
    std::printf("diff: %-14s %9" PRIu64 " events in %7" PRIu64
                " runs, every answer the same,\n      "
                "and the same through policy::Decide\n",
                name, events, runs);
    std::fflush(stdout);
    events = runs = 0;
    return true;
  };
  if (!stage("single steps", SingleStepBatches(campaign.oracle, take))) return false;
  coverage = Coverage();
  if (!stage("random runs", RandomBatches(campaign.oracle, campaign.seed, campaign.events, take)))
    return false;
  std::printf("diff: what the random runs of seed %" PRIu64 " reached\n%s", campaign.seed,
              coverage.Text().c_str());
  const std::vector<std::string> missing = coverage.Missing();
  for (const std::string& name : missing) std::printf("diff: never reached: %s\n", name.c_str());
  if (!campaign.inputs.empty() && !stage("fuzz inputs", FileBatches(campaign, take))) return false;
  return missing.empty();
}

bool Replay(const std::vector<std::string>& paths, const std::string& oracle) {
  const std::vector<std::string> files = FilesOf(paths);
  bool good = !files.empty();
  for (const std::string& path : files) {
    Regression regression;
    const std::string error = ReadRegression(ReadFile(path), regression);
    if (!error.empty() || regression.events.empty()) {
      std::printf("%s: %s\n", path.c_str(), error.empty() ? "no events" : error.c_str());
      good = false;
      continue;
    }
    Batch batch;
    batch.Add(regression.events);
    batch.answers = regression.answers;
    if (!oracle.empty()) {
      const std::string failure = Ask(oracle, batch);
      if (!failure.empty() || batch.answers != regression.answers) {
        std::printf("%s: the oracle answers differently now %s\n", path.c_str(), failure.c_str());
        good = false;
      }
    }
    if (const auto at = FirstDifference(Shipped(), batch, nullptr)) {
      std::printf("%s: event %zu: %s\n", path.c_str(), *at, ToText(regression.events[*at]).c_str());
      good = false;
    }
  }
  if (good) std::printf("diff: %zu kept regressions, every answer as recorded\n", files.size());
  return good;
}

bool AnswerEvents(const std::string& path, const std::string& oracle) {
  const std::string text = ReadFile(path);
  Batch batch;
  std::string comments, error;
  std::vector<Event> events;
  for (size_t at = 0, end = 0; at < text.size() && error.empty(); at = end + 1) {
    end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    if (line.starts_with("#")) comments += (comments.empty() ? "" : "\n") + line;
    if (line.empty() || line.starts_with("#") || line.starts_with("  => ")) continue;
    error = FromText(line, events.emplace_back());
  }
  batch.Add(events);
  if (error.empty()) error = Ask(oracle, batch);
  if (!error.empty()) return std::fprintf(stderr, "%s: %s\n", path.c_str(), error.c_str()), false;
  std::fputs(WriteRegression({events, batch.answers},
                             comments.substr(std::min<size_t>(comments.size(), 2)))
                 .c_str(),
             stdout);
  return true;
}

}  // namespace krux::diff
