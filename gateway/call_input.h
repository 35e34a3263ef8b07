// The descriptor that came with a call, judged as the work of a stranger: a memfd that nobody can
// change any more, of a size that is served.
//
//   runtime::Input input = KRUX_TRY(ReadInput(flow.input));
#pragma once

#include "base/unique_fd.h"
#include "runtime/catalog.h"

namespace krux::gateway {

// Size and digest. kBadData unless `fd` is a memfd with the seals SHRINK, GROW and WRITE of at most
// sandbox::kMaxInputBytes; it is left where it was.
Result<runtime::Input> ReadInput(UniqueFd& fd);

}  // namespace krux::gateway
