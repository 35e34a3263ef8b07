// Bytes → events (verification/diff/decoder.h) → policy kernel: every step keeps what the model
// proves. The same inputs go to the model itself in `./dev verify diff`.
#include <algorithm>

#include "fuzz/target.h"
#include "verification/diff/bounds.h"
#include "verification/diff/generate.h"
#include "verification/diff/properties.h"
#include "verification/diff/text.h"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace krux::diff;
  static const std::string at_bounds = BrokenAtBounds(Shipped());
  KRUX_HOLDS(at_bounds.empty());
  Machine machine(Shipped());
  // Longer inputs are no other inputs, only slower ones.
  for (const Event& event : RunOf({data, std::min<size_t>(size, 1024)})) {
    const krux_state before = machine.session(event.session);
    const Result result = machine.Apply(event);
    const std::string broken = Broken(before, event, result, machine);
    if (!broken.empty()) std::fprintf(stderr, "%s\n  %s\n", ToText(event).c_str(), broken.c_str());
    KRUX_HOLDS(broken.empty());
  }
  return 0;
}
