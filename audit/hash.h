// The two hashes of the log. The leaf hash of RFC 6962 §2.1 serves the chain and, later, the tree.
//
//   cbor::Bytes head = LeafHash(record);                       // 32 bytes: SHA-256(0x00 || record)
//   cbor::Bytes commit = HmacSha256(salt, label_and_value);    // 32 bytes
#pragma once

#include <cstdint>
#include <span>

#include "base/cbor_value.h"

namespace krux::audit {

inline constexpr size_t kHashBytes = 32;

cbor::Bytes LeafHash(std::span<const uint8_t> record);
cbor::Bytes HmacSha256(std::span<const uint8_t> key, std::span<const uint8_t> message);

}  // namespace krux::audit
