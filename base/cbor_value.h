// Value: one deterministic CBOR item (RFC 8949 §4.2.1) as a C++ value, its encoder, and its strict
// decoder. The bytes are written and judged by base/cbor.h (C11); this is the comfortable side.
//
//   cbor::Value message = cbor::Map{{"type", "ping"}, {"nonce", 7u}};
//   std::vector<uint8_t> bytes = cbor::Encode(message);
//   cbor::Value back = KRUX_TRY(cbor::Decode(bytes));
//
// Accepted: unsigned and negative integers, byte strings, UTF-8 text, arrays, maps, false, true,
// null. Everything else is an error: floats, tags, indefinite lengths, non-minimal heads, unsorted
// or duplicate keys, invalid UTF-8, trailing bytes, more than kMaxDepth levels.
//
// Text of a Value is always UTF-8: each byte that is not part of a valid sequence becomes U+FFFD
// when the Value is made. Send what must arrive byte for byte (a file name) as a byte string
// instead.
#pragma once

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace krux::cbor {

class Value;
using Bytes = std::vector<uint8_t>;
using Array = std::vector<Value>;

inline constexpr int kMaxDepth = 16;                // nesting levels of arrays and maps
inline constexpr size_t kMaxItemBytes = 64 * 1024;  // default limit of Decode, in bytes

// A map keeps its entries in the order of the encoded keys (bytewise), whatever order they came in.
class Map {
 public:
  using Entry = std::pair<Value, Value>;
  Map() = default;
  Map(std::initializer_list<Entry> entries);
  // Adds or replaces.
  void Set(Value key, Value value);
  const Value* Find(const Value& key) const;
  void Remove(const Value& key);
  bool empty() const;
  size_t size() const;
  const Entry* begin() const;
  const Entry* end() const;
  bool operator==(const Map&) const;

 private:
  size_t Position(const Value& key) const;  // index of the first entry whose key is not less
  std::vector<Entry> entries_;
};

// A negative integer -1 - n, held as n as on the wire.
struct Negative {
  uint64_t n = 0;
  bool operator==(const Negative&) const = default;
};

class Value {
 public:
  Value() : v_(nullptr) {}  // null
  // Out of line: inlined, g++ 12 warns that parts of a null are moved uninitialised.
  Value(const Value&);
  Value(Value&&) noexcept;
  Value& operator=(const Value&);
  Value& operator=(Value&&) noexcept;
  ~Value();
  Value(std::nullptr_t) : v_(nullptr) {}
  Value(bool b) : v_(b) {}
  Value(int i);
  Value(int64_t i);
  Value(unsigned u) : v_(uint64_t{u}) {}
  Value(uint64_t u) : v_(u) {}
  Value(unsigned long long u) : v_(static_cast<uint64_t>(u)) {}
  Value(Negative n) : v_(n) {}
  Value(const char* s) : Value(std::string(s)) {}
  Value(std::string_view s) : Value(std::string(s)) {}
  Value(std::string s);
  Value(Bytes b) : v_(std::move(b)) {}
  Value(std::span<const uint8_t> b) : v_(Bytes(b.begin(), b.end())) {}
  Value(Array a) : v_(std::move(a)) {}
  Value(Map m) : v_(std::move(m)) {}

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(v_); }
  // Each returns null when the value is of another type.
  const bool* boolean() const { return std::get_if<bool>(&v_); }
  const uint64_t* uint() const { return std::get_if<uint64_t>(&v_); }
  const std::string* text() const { return std::get_if<std::string>(&v_); }
  const Bytes* bytes() const { return std::get_if<Bytes>(&v_); }
  const Array* array() const { return std::get_if<Array>(&v_); }
  const Map* map() const { return std::get_if<Map>(&v_); }
  Map* map() { return std::get_if<Map>(&v_); }
  const Negative* negative() const { return std::get_if<Negative>(&v_); }
  // The value as a signed number when it is an integer that fits, else null optional.
  std::optional<int64_t> integer() const;

  bool operator==(const Value&) const = default;
  // The bytewise order of the encodings, which is the order of keys in a map.
  std::strong_ordering Order(const Value& other) const;

 private:
  std::variant<std::nullptr_t, bool, uint64_t, Negative, std::string, Bytes, Array, Map> v_;
};

bool IsUtf8(std::string_view text);

inline bool Map::empty() const { return entries_.empty(); }
inline size_t Map::size() const { return entries_.size(); }
inline const Map::Entry* Map::begin() const { return entries_.data(); }
inline const Map::Entry* Map::end() const { return entries_.data() + entries_.size(); }

Bytes Encode(const Value& value);
Result<Value> Decode(std::span<const uint8_t> bytes, size_t max_bytes = kMaxItemBytes);

// RFC 8949 §8 diagnostic notation, for people: text with controls escaped, byte strings in hex.
std::string Diagnostic(const Value& value);

// Reads a map of a fixed schema: every key is asked for once, Finish() fails on the first key
// nobody asked for. The first error sticks and later reads answer defaults.
//
//   MapReader r(value, "call");
//   std::string cap = r.Text("cap");
//   if (r.Has("session")) session = r.Fixed("session", 16);  // an optional key
//   KRUX_TRY(r.Finish());
class MapReader {
 public:
  MapReader(const Value& value, std::string_view what);
  bool Has(const Value& key);  // true if present; does not consume
  uint64_t Uint(const Value& key, uint64_t max = UINT64_MAX);
  std::string Text(const Value& key, size_t max_bytes = kMaxItemBytes);
  Bytes ByteString(const Value& key, size_t max_bytes = kMaxItemBytes);
  // A byte string of exactly `size` bytes.
  Bytes Fixed(const Value& key, size_t size);
  bool Boolean(const Value& key);
  Value Any(const Value& key);  // null Value when absent is an error
  Map Submap(const Value& key);
  Array List(const Value& key, size_t max_items = 4096);
  // Error code kBadData with a message that names the key: "`call`: unknown key `foo`".
  Result<void> Finish();

 private:
  const Value* Get(const Value& key);
  void FailAt(const Value& key, std::string_view why);
  std::string what_;
  Map map_;
  std::vector<bool> used_;
  std::string error_;
};

}  // namespace krux::cbor
