// Mutants of the policy kernel: each is compiled, loaded and compared with the oracle's answers.
// A comparison that does not notice a wrong kernel proves nothing about the right one.
//
//   MutantPlan plan{.oracle = "…/krux_oracle", .source = ".", .seed = 7, .count = 25};
//   return KillMutants(plan) ? 0 : 1;
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "verification/diff/mutate.h"

namespace krux::diff {

struct MutantPlan {
  std::string oracle;
  std::string source;  // root of the tree that holds policy/kernel
  std::string compiler = "cc";
  uint64_t seed = 1;
  uint64_t events = 300'000;  // of the random runs that each is compared on
  int count = 25;             // 0: all there are
  int jobs = 2;
};

// Every mutation of policy/kernel there is, without the reviewed equivalent ones.
struct MutationList {
  std::vector<Mutation> mutations;
  size_t equivalent = 0;
  std::string error;  // also where the reviewed list names one that is no more
};
MutationList ListMutations(const std::string& source);

// Prints one line per mutant, then the score; true when each was killed.
bool KillMutants(const MutantPlan& plan);

}  // namespace krux::diff
