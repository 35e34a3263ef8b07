#include "base/sha256.h"

#include <string.h>

/* FIPS 180-4 §4.2.2: the first 32 bits of the fractions of the cube roots of the first 64 primes.
 */
static const uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t Rotate(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

static uint32_t Load(const uint8_t* p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void Store(uint8_t* p, uint32_t x) {
  for (unsigned i = 0; i < 4; i++) p[i] = (uint8_t)(x >> (24 - 8 * i));
}

/* FIPS 180-4 §6.2.2, one block. */
static void Compress(uint32_t h[8], const uint8_t* block) {
  uint32_t w[64];
  for (unsigned i = 0; i < 16; i++) w[i] = Load(block + (size_t)4 * i);
  for (unsigned i = 16; i < 64; i++) {
    const uint32_t s0 = Rotate(w[i - 15], 7) ^ Rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
    const uint32_t s1 = Rotate(w[i - 2], 17) ^ Rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  uint32_t v[8];
  memcpy(v, h, sizeof v);
  for (unsigned i = 0; i < 64; i++) {
    const uint32_t s1 = Rotate(v[4], 6) ^ Rotate(v[4], 11) ^ Rotate(v[4], 25);
    const uint32_t choose = (v[4] & v[5]) ^ (~v[4] & v[6]);
    const uint32_t t1 = v[7] + s1 + choose + kRound[i] + w[i];
    const uint32_t s0 = Rotate(v[0], 2) ^ Rotate(v[0], 13) ^ Rotate(v[0], 22);
    const uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
    v[7] = v[6], v[6] = v[5], v[5] = v[4];
    v[4] = v[3] + t1;
    v[3] = v[2], v[2] = v[1], v[1] = v[0];
    v[0] = t1 + s0 + majority;
  }
  for (unsigned i = 0; i < 8; i++) h[i] += v[i];
}

void krux_sha256_init(krux_sha256* s) {
  /* §5.3.3: the same of the square roots of the first eight primes. */
  static const uint32_t kStart[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memcpy(s->h, kStart, sizeof s->h);
  s->bytes = 0;
}

void krux_sha256_update(krux_sha256* s, const void* data, size_t size) {
  const uint8_t* p = data;
  const size_t held = s->bytes % KRUX_SHA256_BLOCK;
  s->bytes += size;
  if (held != 0) {
    const size_t room = KRUX_SHA256_BLOCK - held;
    const size_t take = size < room ? size : room;
    memcpy(s->block + held, p, take);
    if (take < room) return;
    Compress(s->h, s->block);
    p += take;
    size -= take;
  }
  for (; size >= KRUX_SHA256_BLOCK; p += KRUX_SHA256_BLOCK, size -= KRUX_SHA256_BLOCK) {
    Compress(s->h, p);
  }
  if (size > 0) memcpy(s->block, p, size);
}

void krux_sha256_final(krux_sha256* s, uint8_t digest[KRUX_SHA256_BYTES]) {
  const uint64_t bits = s->bytes * 8;
  size_t held = s->bytes % KRUX_SHA256_BLOCK;
  s->block[held++] = 0x80;
  if (held > KRUX_SHA256_BLOCK - 8) {
    memset(s->block + held, 0, KRUX_SHA256_BLOCK - held);
    Compress(s->h, s->block);
    held = 0;
  }
  memset(s->block + held, 0, KRUX_SHA256_BLOCK - 8 - held);
  Store(s->block + 56, (uint32_t)(bits >> 32));
  Store(s->block + 60, (uint32_t)bits);
  Compress(s->h, s->block);
  for (unsigned i = 0; i < 8; i++) Store(digest + (size_t)4 * i, s->h[i]);
}
