// The verifier's own CBOR: a judge of deterministic encoding and a cursor that reads what it
// accepted. It shares nothing with base/cbor.h on purpose: a defect would have to be made twice.
//
//   if (const char* why = StrictFault(bytes)) ...   // nullptr: deterministic CBOR, one item, no
//   rest Cursor c(bytes); uint64_t pairs = c.Map();
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace krux::audit::verify {

using ByteView = std::span<const uint8_t>;

inline constexpr int kMaxDepth = 16;  // levels of arrays and maps in a record

// Why `bytes` are not exactly one deterministically encoded item of format 1, or nullptr.
const char* StrictFault(ByteView bytes);

enum class Type { kUint, kNegative, kBytes, kText, kArray, kMap, kFalse, kTrue, kNull, kNone };

// Walks over items that StrictFault() accepted. Asking for another type than the one that is there
// answers an empty value and makes ok() false for good.
class Cursor {
 public:
  explicit Cursor(ByteView bytes) : rest_(bytes) {}
  Type Next() const;
  bool Is(Type type) const { return Next() == type; }
  uint64_t Uint();
  ByteView Bytes();
  std::string_view Text();
  uint64_t Array();  // number of items that follow
  uint64_t Map();    // number of pairs that follow
  // Steps over one whole item; answers its bytes.
  ByteView Skip();
  bool ok() const { return ok_; }
  bool done() const { return rest_.empty(); }

 private:
  uint64_t Take(Type type);
  ByteView rest_;
  bool ok_ = true;
};

}  // namespace krux::audit::verify
