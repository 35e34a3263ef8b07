/* SHA-256 (FIPS 180-4) without a library: for the worker, which links libc alone. The daemons use
 * OpenSSL (base/digest.h); tests/base/sha256_test.cc holds the two together.
 *
 *   krux_sha256 state;
 *   krux_sha256_init(&state);
 *   krux_sha256_update(&state, bytes, size);     // as often as there are pieces
 *   uint8_t digest[KRUX_SHA256_BYTES];
 *   krux_sha256_final(&state, digest);
 */
#ifndef KRUX_BASE_SHA256_H_
#define KRUX_BASE_SHA256_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { KRUX_SHA256_BYTES = 32, KRUX_SHA256_BLOCK = 64 };

typedef struct krux_sha256 {
  uint32_t h[8];
  uint64_t bytes; /* of the whole message so far */
  uint8_t block[KRUX_SHA256_BLOCK];
} krux_sha256;

void krux_sha256_init(krux_sha256* s);
void krux_sha256_update(krux_sha256* s, const void* data, size_t size);
/* The state is used up afterwards. */
void krux_sha256_final(krux_sha256* s, uint8_t digest[KRUX_SHA256_BYTES]);

#ifdef __cplusplus
}
#endif

#endif /* KRUX_BASE_SHA256_H_ */
