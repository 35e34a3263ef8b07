// The input of a call: one memfd that came with its Spec, sealed so that nobody can change it under
// the worker.
//
//   UniqueFd input = KRUX_TRY(TakeInput(spec, std::move(packet.fds)));   // not valid: there is
//   none
#pragma once

#include <vector>

#include "base/unique_fd.h"
#include "sandbox/spec.h"

namespace krux::sandbox {

// kBadData unless `fds` is what `spec` says: nothing, or one memfd with the seals SHRINK, GROW and
// WRITE and exactly input_bytes long.
Result<UniqueFd> TakeInput(const Spec& spec, std::vector<UniqueFd> fds);

}  // namespace krux::sandbox
