// Layout of the result memfd. spawnd makes it before the worker at its full size (F_SEAL_GROW and
// F_SEAL_SHRINK from the start), the worker fills it, spawnd seals it (F_SEAL_WRITE) when the
// worker is gone. Readers take the header as hostile.
#pragma once

#include <cstdint>

namespace krux::sandbox {

struct ResultHeader {   // little-endian, at offset 0
  uint32_t magic;       // kResultMagic; 0 = the worker never answered
  uint32_t meta_bytes;  // CBOR at kResultMetaOffset, ≤ kResultMetaMax
  uint64_t data_bytes;  // at kResultDataOffset, ≤ Limits::result_bytes
};
inline constexpr uint32_t kResultMagic = 0x7578726b;  // "krux"
inline constexpr uint64_t kResultMetaOffset = 64;
inline constexpr uint64_t kResultMetaMax = 60 * 1024;
inline constexpr uint64_t kResultDataOffset = 64 * 1024;

}  // namespace krux::sandbox
