#include "sandbox/input.h"

#include "base/sealed_memfd.h"

namespace krux::sandbox {

Result<UniqueFd> TakeInput(const Spec& spec, std::vector<UniqueFd> fds) {
  if (fds.size() != (spec.has_input ? 1u : 0u))
    return Fail(ExitCode::kBadData, "input", "the input of the call is not what its Spec says");
  if (fds.empty()) return UniqueFd();
  SealedMemfd input = KRUX_TRY(SealedMemfd::Accept(std::move(fds[0]), kMaxInputBytes));
  if (input.size() != spec.input_bytes)
    return Fail(ExitCode::kBadData, "input",
                "the input of the call has another size than its Spec");
  return input.TakeFd();
}

}  // namespace krux::sandbox
