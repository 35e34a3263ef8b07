// krux_diff run|replay|answer|mutants: the shipped policy kernel against its extracted model.
//
//   krux_diff run --oracle krux_oracle --seed 7 --events 1000000
//   krux_diff replay verification/diff/regressions/*.events
//   krux_diff mutants --oracle krux_oracle --source . --seed 7 --count 25
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/exit_code.h"
#include "verification/diff/campaign.h"
#include "verification/diff/mutants.h"

namespace krux::diff {
namespace {

int Usage() {
  std::fprintf(stderr,
               "usage: krux_diff run --oracle FILE [--seed N] [--events N] [--regressions DIR] "
               "[INPUT…]\n"
               "       krux_diff replay [--oracle FILE] FILE…\n"
               "       krux_diff answer --oracle FILE EVENTS\n"
               "       krux_diff mutants --oracle FILE --source DIR [--seed N] [--events N] "
               "[--count N|--all]\n");
  return 64;
}

struct Arguments {
  Campaign campaign;
  MutantPlan plan;
  std::vector<std::string> files;
  bool good = true;
};

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    if (!word.starts_with("--")) {
      arguments.files.push_back(word);
      continue;
    }
    if (word == "--all") {
      arguments.plan.count = 0;
      continue;
    }
    if (++i == argc) return arguments.good = false, arguments;
    const char* value = argv[i];
    if (word == "--oracle") {
      arguments.campaign.oracle = arguments.plan.oracle = value;
    } else if (word == "--seed") {
      arguments.campaign.seed = arguments.plan.seed = std::strtoull(value, nullptr, 10);
    } else if (word == "--events") {
      arguments.campaign.events = arguments.plan.events = std::strtoull(value, nullptr, 10);
    } else if (word == "--count") {
      arguments.plan.count = std::atoi(value);
    } else if (word == "--source") {
      arguments.plan.source = value;
    } else if (word == "--regressions") {
      arguments.campaign.regressions = value;
    } else {
      arguments.good = false;
    }
  }
  return arguments;
}

int Main(int argc, char** argv) {
  if (argc < 2) return Usage();
  Arguments arguments = Parse(argc, argv);
  if (!arguments.good) return Usage();
  const std::string command = argv[1];
  if (command == "replay") return Replay(arguments.files, arguments.campaign.oracle) ? 0 : 1;
  if (arguments.campaign.oracle.empty()) return Usage();
  arguments.campaign.inputs = arguments.files;
  if (command == "mutants" && !arguments.plan.source.empty())
    return KillMutants(arguments.plan) ? 0 : 1;
  if (command == "answer" && arguments.files.size() == 1)
    return AnswerEvents(arguments.files[0], arguments.campaign.oracle) ? 0 : 1;
  if (command == "run") return Compare(arguments.campaign) ? 0 : 1;
  return Usage();
}

}  // namespace
}  // namespace krux::diff

int main(int argc, char** argv) { return krux::diff::Main(argc, argv); }
