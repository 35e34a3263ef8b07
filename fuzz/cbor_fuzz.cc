// CBOR: what the writer's decoder takes, the verifier's own judge takes too, and the other way
// round; and what was taken is the one encoding of its value.
#include "audit/verify/cbor.h"
#include "base/cbor_value.h"
#include "fuzz/target.h"

namespace krux {
namespace {

bool Printable(const std::string& text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

// Steps over the item with the verifier's cursor: nothing that StrictFault took may stop it.
void Walk(audit::verify::ByteView bytes) {
  audit::verify::Cursor cursor(bytes);
  KRUX_HOLDS(cursor.Skip().size() == bytes.size());
  KRUX_HOLDS(cursor.ok() && cursor.done());
}

}  // namespace
}  // namespace krux

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace krux;
  const std::span<const uint8_t> bytes(data, size);
  if (size > cbor::kMaxItemBytes) return 0;
  const Result<cbor::Value> value = cbor::Decode(bytes);
  KRUX_HOLDS(value.has_value() == (audit::verify::StrictFault(bytes) == nullptr));
  if (!value) {
    KRUX_HOLDS(value.error().code == ExitCode::kBadData);
    return 0;
  }
  KRUX_HOLDS(cbor::Encode(*value) == cbor::Bytes(bytes.begin(), bytes.end()));
  KRUX_HOLDS(Printable(cbor::Diagnostic(*value)));
  Walk(bytes);
  return 0;
}
