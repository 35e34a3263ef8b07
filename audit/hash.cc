#include "audit/hash.h"

#include <algorithm>
#include <array>

#include "base/digest.h"

namespace krux::audit {

cbor::Bytes LeafHash(std::span<const uint8_t> record) {
  constexpr uint8_t kLeaf[] = {0x00};  // RFC 6962 §2.1: leaves and nodes can never be confused
  Sha256Stream hash;
  hash.Update(kLeaf);
  hash.Update(record);
  return hash.Finish();
}

// RFC 2104. HMAC(3) would look its algorithm up every time.
cbor::Bytes HmacSha256(std::span<const uint8_t> key, std::span<const uint8_t> message) {
  std::array<uint8_t, 64> inner{}, outer{};
  const cbor::Bytes short_key =
      key.size() <= inner.size() ? cbor::Bytes(key.begin(), key.end()) : Sha256(key);
  std::ranges::copy(short_key, inner.begin());
  for (size_t i = 0; i < inner.size(); ++i) {
    outer[i] = inner[i] ^ 0x5c;
    inner[i] ^= 0x36;
  }
  Sha256Stream first, second;
  first.Update(inner);
  first.Update(message);
  second.Update(outer);
  second.Update(first.Finish());
  return second.Finish();
}

}  // namespace krux::audit
