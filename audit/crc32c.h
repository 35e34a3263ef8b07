// CRC-32C (Castagnoli, RFC 3720 appendix B.4): finds rot and torn writes in a frame. It is no
// protection against anybody: that is the hash chain and the signed checkpoints.
//
//   uint32_t crc = krux_crc32c(0, "123456789", 9);  // 0xe3069283
//   crc = krux_crc32c(crc, more, size);             // goes on where the first part ended
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

uint32_t krux_crc32c(uint32_t crc, const void* bytes, size_t size);

#ifdef __cplusplus
}
#endif
