#include "gateway/file_change.h"

#include "base/digest.h"

namespace krux::gateway {
namespace {

using cbor::Map;
using cbor::Value;

constexpr size_t kDigestDigits = 64;

const Map* Part(const Value& data, const char* name) {
  const Value* part = data.map() != nullptr ? data.map()->Find(name) : nullptr;
  return part != nullptr ? part->map() : nullptr;
}

// 32 bytes from 64 lower-case digits; empty where `value` is anything else.
cbor::Bytes Digest(const Value* value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const std::string* text = value != nullptr ? value->text() : nullptr;
  if (text == nullptr || text->size() != kDigestDigits ||
      text->find_first_not_of(kDigits) != std::string::npos)
    return {};
  cbor::Bytes bytes;
  for (size_t i = 0; i < text->size(); i += 2)
    bytes.push_back(
        static_cast<uint8_t>(kDigits.find((*text)[i]) << 4 | kDigits.find((*text)[i + 1])));
  return bytes;
}

bool IsFile(const Map& state) {
  const Value* bytes = state.Find("bytes");
  return bytes != nullptr && bytes->uint() != nullptr && !Digest(state.Find("sha256")).empty();
}

// {"existed": false}, or {"existed": true, "bytes", "sha256"}.
bool IsBefore(const Map& before) {
  const Value* existed = before.Find("existed");
  if (existed == nullptr || existed->boolean() == nullptr) return false;
  return *existed->boolean() ? before.size() == 3 && IsFile(before) : before.size() == 1;
}

Map WithBytes(const Map& state) {
  Map map = state;
  if (const cbor::Bytes digest = Digest(state.Find("sha256")); !digest.empty())
    map.Set("sha256", digest);
  return map;
}

}  // namespace

Map ContentDigest(const Value& content) {
  if (content.map() != nullptr) return *content.map();
  cbor::Bytes bytes = content.bytes() != nullptr ? *content.bytes() : cbor::Bytes();
  if (const std::string* text = content.text()) bytes.assign(text->begin(), text->end());
  return Map{{"bytes", uint64_t{bytes.size()}}, {"sha256", Sha256(bytes)}};
}

Result<void> CheckChange(const Value& data, const Map& content, bool must_be_whole) {
  const Map* before = Part(data, "before");
  const Map* after = Part(data, "after");
  const bool whole = before != nullptr && after != nullptr;
  const bool good = (before == nullptr || IsBefore(*before)) &&
                    (after == nullptr || (after->size() == 2 && WithBytes(*after) == content));
  if (good && (whole || !must_be_whole)) return {};
  return Fail(ExitCode::kBadData, "result",
              "the worker's account of what it wrote does not hold; read the file to see");
}

void RecordChange(const Value& data, Map& record) {
  for (const char* name : {"before", "after"}) {
    if (const Map* part = Part(data, name)) record.Set(name, WithBytes(*part));
  }
}

}  // namespace krux::gateway
