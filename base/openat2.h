// openat2(2) without a libc wrapper, and the flags krux opens everything with.
//
//   UniqueFd dir = KRUX_TRY(OpenBeneath(root.get(), "a/b", O_PATH | O_DIRECTORY));
#pragma once

#include <fcntl.h>
#include <linux/openat2.h>

#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace krux {

// The bare system call; O_CLOEXEC is added. Returns a descriptor or -errno. Async-signal-safe.
int OpenAt2(int dirfd, const char* path, uint64_t flags, uint64_t resolve, uint64_t mode = 0);

// Resolves `path` below `dirfd` only: RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS.
Result<UniqueFd> OpenBeneath(int dirfd, const std::string& path, uint64_t flags);

// The same without following any link: RESOLVE_NO_SYMLINKS as well.
Result<UniqueFd> OpenBeneathNoLinks(int dirfd, const std::string& path, uint64_t flags);

}  // namespace krux
