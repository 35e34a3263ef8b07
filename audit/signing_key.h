// SigningKey: the Ed25519 key (RFC 8032) with which krux-auditd signs checkpoints. On disk both
// halves are PEM, so that openssl(1) reads them.
//
//   SigningKey key = KRUX_TRY(SigningKey::Generate());
//   cbor::Bytes signature = KRUX_TRY(key.Sign(message));   // 64 bytes
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/cbor_value.h"

struct evp_pkey_st;

namespace krux::audit {

inline constexpr size_t kSignatureBytes = 64;

class SigningKey {
 public:
  static Result<SigningKey> Generate();
  static Result<SigningKey> FromPrivatePem(std::string_view pem);
  std::string PrivatePem() const;
  std::string PublicPem() const;
  Result<cbor::Bytes> Sign(std::span<const uint8_t> message) const;
  bool Verify(std::span<const uint8_t> message, std::span<const uint8_t> signature) const;

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  explicit SigningKey(evp_pkey_st* key) : key_(key) {}
  std::unique_ptr<evp_pkey_st, Free> key_;
};

}  // namespace krux::audit
