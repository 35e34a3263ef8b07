// Descriptors of a worker: exactly the given ones, at 0, 1, 2, … in the given order.
//
//   const int keep[] = {null, null, null, channel, result};
//   if (int error = KeepFds(keep, 5, /*close_on_exec=*/true); error < 0) ...
//   // 3 is the channel, 4 the result, nothing else is open
#pragma once

#include <cstddef>

namespace krux::sandbox {

inline constexpr size_t kMaxKeptFds = 32;

// Moves fds[i] to i and closes everything else (close_range(2)). The same descriptor may be named
// twice. With `close_on_exec` all but 0, 1 and 2 close at execve(2). 0 or -errno; after an error
// the table is in no defined state and the caller must exit. Child; async-signal-safe.
int KeepFds(const int* fds, size_t n, bool close_on_exec);

}  // namespace krux::sandbox
