// CheckTemplateMounts: what a built template's mounts must be, said once more and apart from the
// code that makes them. A flag that was not set ends the session's template, not in a record.
//
//   KRUX_TRY(CheckTemplateMounts(spec, "/home/ann/project", made.mounts));
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "sandbox/spec.h"

namespace krux::sandbox {

// `mounts`: lines of NormaliseMountinfo. Every mount is nosuid; everything but the device nodes is
// nodev; everything but a WORK that is granted for writing is ro; WORK is noexec unless granted for
// executing, so are the root and the decoy /proc; and `masks` of them lie over something in WORK,
// read-only whatever WORK is. Code kSandbox, stage "mount", names the first
// that is not.
Result<void> CheckTemplateMounts(const TemplateSpec& spec, const std::string& work_path,
                                 const std::vector<std::string>& mounts, uint64_t masks);

// Is this line one of a mask over something in WORK?
bool IsMaskLine(const std::string& mount, const std::string& work_path);

}  // namespace krux::sandbox
