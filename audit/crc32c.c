#include "audit/crc32c.h"

#include <string.h>

static uint32_t by_bit(uint32_t crc, const uint8_t* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1u ? 0x82f63b78u : 0u);
  }
  return crc;
}

#if defined(__x86_64__)
// The crc32 instruction of SSE 4.2 computes exactly this polynomial.
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t* bytes,
                                                                 size_t size) {
  uint64_t wide = crc;
  while (size >= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    wide = __builtin_ia32_crc32di(wide, word);
    bytes += 8;
    size -= 8;
  }
  crc = (uint32_t)wide;
  for (; size > 0; --size) crc = __builtin_ia32_crc32qi(crc, *bytes++);
  return crc;
}
#endif

uint32_t krux_crc32c(uint32_t crc, const void* bytes, size_t size) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return ~by_instruction(~crc, bytes, size);
#endif
  return ~by_bit(~crc, bytes, size);
}
