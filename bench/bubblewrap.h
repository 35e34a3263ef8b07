// The same file through `bwrap --unshare-all` and cat: what one reaches for today.
#pragma once

#include <string>

#include "base/error.h"

namespace krux::bench {

// `tree` is bound read-only; the programs' trees are too. Returns cat's output.
Result<std::string> ReadThroughBubblewrap(const std::string& tree, const std::string& path);

}  // namespace krux::bench
