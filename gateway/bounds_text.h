// Bounds by their names, as krux.toml and the words of kruxd give them.
//
//   KRUX_TRY(SetBound(bounds, "calls", 64));
//   KRUX_TRY(ReadBounds(bounds, "calls=64,wait_ms=2000"));
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "gateway/bounds.h"

namespace krux::gateway {

// kConfig for a name that is none (with the nearest one) and a value outside of what it may have.
Result<void> SetBound(Bounds& bounds, std::string_view name, uint64_t value);
// "name=value,…", nothing between the words.
Result<void> ReadBounds(Bounds& bounds, std::string_view text);

}  // namespace krux::gateway
