// WriteRisk: how dangerous it is to write a path, by its name alone. Files that somebody's tools
// run or obey without being asked (git hooks, CI, build files, shell start files, instructions to
// agents) carry an agent's words out of its sandbox, so writing them is `elevated`. The table is
// reviewed data, in write_risk.cc.
//
//   WriteRisk("/home/ann/project/src/a.c", "/home/ann/project")                // low
//   WriteRisk("/home/ann/project/.git/hooks/pre-commit", "/home/ann/project")  // elevated
//
// Only what lies below WORK counts: a WORK that itself lies in somebody's `.claude` is no worse.
// Judged twice: on the path that was asked for, before the decision, and by the worker on the path
// it really is. Letters count alike in either case: some file systems do not tell them apart.
#pragma once

#include <string_view>

#include "policy/decide.h"

namespace krux::runtime {

// Both canonical. A path outside of `work` is judged in whole.
policy::Risk WriteRisk(std::string_view path, std::string_view work);

}  // namespace krux::runtime
