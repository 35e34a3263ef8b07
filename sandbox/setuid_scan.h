// A writable tree for programs must hold no setuid or setgid file and none with capabilities: such
// a file keeps them when it is rewritten through a shared mapping, whatever seccomp says about
// chmod.
#pragma once

#include <string>

#include "base/error.h"

namespace krux::sandbox {

inline constexpr uint64_t kMaxScannedEntries = 2'000'000;

// Walks `path` without following links. kDenied names the first such regular file; more
// than kMaxScannedEntries entries or an unreadable directory is an error as well: what was not
// looked at is not vouched for. Only directories that the worker itself cannot enter are skipped:
// it cannot reach what is below them either.
Result<void> RefuseSetuidFiles(const std::string& path);

}  // namespace krux::sandbox
