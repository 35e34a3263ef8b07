// krux doctor --jail: every escape program, live, through the gateway's ordinary door: proc.exec in
// a scratch WORK, under the profile local_dev. What it shows is what a call on this machine gets.
//
//   return RunDoctorJail(out, {"cgroup"});
#pragma once

#include <string>
#include <vector>

#include "tools/output.h"

namespace krux::tools {

// 0: every program was contained. 71: one was not, or did not get as far as its attempt, or no
// sandbox came about. 66: the programs are not installed; nothing was tried.
int RunDoctorJail(const Output& out, const std::vector<std::string>& degraded);

}  // namespace krux::tools
