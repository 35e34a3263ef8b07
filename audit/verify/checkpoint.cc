#include "audit/verify/checkpoint.h"

namespace krux::audit::verify {
namespace {

constexpr size_t kSignedBytes = 62;

Entry ReadEntry(ByteView bytes) {
  Entry entry;
  if (StrictFault(bytes) != nullptr) return entry;
  Cursor c(bytes);
  const bool five = c.Array() == 5;
  const bool version = c.Uint() == 1;
  entry.log_id = c.Bytes();
  const ByteView size = c.Bytes();
  entry.head = c.Bytes();
  entry.signature = c.Bytes();
  for (const uint8_t byte : size) entry.size = entry.size << 8 | byte;
  entry.signed_part = bytes.first(kSignedBytes);
  entry.well_formed = c.ok() && five && version && entry.log_id.size() == 16 && size.size() == 8 &&
                      entry.head.size() == 32 && entry.signature.size() == 64 && entry.size > 0;
  return entry;
}

}  // namespace

std::vector<Entry> ReadEntries(ByteView bytes) {
  std::vector<Entry> entries;
  for (; bytes.size() >= kEntryBytes; bytes = bytes.subspan(kEntryBytes)) {
    entries.push_back(ReadEntry(bytes.first(kEntryBytes)));
  }
  return entries;
}

bool SignatureHolds(const Entry& entry, const PublicKey& key) {
  constexpr std::string_view kContext("krux-checkpoint-v1\0", 19);
  std::vector<uint8_t> message;
  message.reserve(kContext.size() + entry.signed_part.size());
  message.insert(message.end(), kContext.begin(), kContext.end());
  message.insert(message.end(), entry.signed_part.begin(), entry.signed_part.end());
  return key.Verify(message, entry.signature);
}

}  // namespace krux::audit::verify
