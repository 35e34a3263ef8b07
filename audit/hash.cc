#include "audit/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/digest.h"

namespace krux::audit {

cbor::Bytes LeafHash(std::span<const uint8_t> record) {
  constexpr uint8_t kLeaf[] = {0x00};  // RFC 6962 §2.1: leaves and nodes can never be confused
  Sha256Stream hash;
  hash.Update(kLeaf);
  hash.Update(record);
  return hash.Finish();
}

cbor::Bytes HmacSha256(std::span<const uint8_t> key, std::span<const uint8_t> message) {
  cbor::Bytes out(kHashBytes);
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
       out.data(), &size);
  return out;
}

}  // namespace krux::audit
