// The `checkpoints` file: entries of 128 bytes, the CBOR array [1, log-id, size, head, signature],
// Ed25519 over "krux-checkpoint-v1", a zero byte, and the entry's first 62 bytes.
//
//   std::vector<Entry> entries = ReadEntries(bytes);
#pragma once

#include <vector>

#include "audit/verify/crypto.h"

namespace krux::audit::verify {

inline constexpr size_t kEntryBytes = 128;

struct Entry {
  bool well_formed = false;
  ByteView log_id;  // 16 bytes
  uint64_t size = 0;
  ByteView head;         // 32 bytes
  ByteView signed_part;  // 62 bytes
  ByteView signature;    // 64 bytes
};

// As many entries as fit; what follows the last one (less than 128 bytes) is a torn write.
std::vector<Entry> ReadEntries(ByteView bytes);
bool SignatureHolds(const Entry& entry, const PublicKey& key);

}  // namespace krux::audit::verify
