// What the verifier computes, through OpenSSL 3: SHA-256, HMAC-SHA-256, Ed25519, and CRC-32C by
// itself.
//
//   Hash leaf = LeafHash(record);
//   auto key = PublicKey::FromPemFile("/etc/krux/audit.pub", &error);
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "audit/verify/cbor.h"

struct evp_pkey_st;

namespace krux::audit::verify {

using Hash = std::array<uint8_t, 32>;

Hash Sha256(ByteView bytes);
Hash LeafHash(ByteView record);  // SHA-256(0x00 || record), RFC 6962 §2.1
// HMAC-SHA-256(salt, label || value): what a commitment must be.
Hash Commitment(ByteView salt, std::string_view label, ByteView value);
uint32_t Crc32c(ByteView first, ByteView second);
// The bare register of CRC-32C after one more byte.
uint32_t Crc32cStep(uint32_t state, uint8_t byte);
// The product of two registers as polynomials: of a state and x^(8n), the state n zero bytes later.
uint32_t Crc32cTimes(uint32_t a, uint32_t b);
std::string Hex(ByteView bytes);

class PublicKey {
 public:
  // An Ed25519 public key in PEM. `*error` says why there is none.
  static std::optional<PublicKey> FromPemFile(const std::string& path, std::string* error);
  bool Verify(ByteView message, ByteView signature) const;

 private:
  explicit PublicKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace krux::audit::verify
