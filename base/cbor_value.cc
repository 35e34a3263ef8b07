#include "base/cbor_value.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/cbor.h"

namespace krux::cbor {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

const uint8_t* Raw(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

// The size of the valid UTF-8 sequence at the start of `text`, 0 if there is none.
size_t SequenceSize(std::string_view text) {
  for (size_t n = 1; n <= 4 && n <= text.size(); ++n) {
    if (krux_utf8_valid(Raw(text), n)) return n;
  }
  return 0;
}

std::string ReplaceInvalid(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t n = SequenceSize(text);
    out += n == 0 ? kReplacement : text.substr(0, n);
    text.remove_prefix(n == 0 ? 1 : n);
  }
  return out;
}

// The major type, with false, true and null after the others as on the wire.
int Rank(const Value& v) {
  if (v.uint() != nullptr) return 0;
  if (v.negative() != nullptr) return 1;
  if (v.bytes() != nullptr) return 2;
  if (v.text() != nullptr) return 3;
  if (v.array() != nullptr) return 4;
  if (v.map() != nullptr) return 5;
  if (v.boolean() != nullptr) return *v.boolean() ? 8 : 7;
  return 9;
}

std::strong_ordering Sequence(const void* a, size_t a_size, const void* b, size_t b_size) {
  // The head, which holds the length, comes first.
  if (a_size != b_size) return a_size <=> b_size;
  return a_size == 0 ? std::strong_ordering::equal : std::memcmp(a, b, a_size) <=> 0;
}

void Write(krux_cbor_writer* w, const Value& v) {
  if (const uint64_t* n = v.uint()) return krux_cbor_put_uint(w, *n);
  if (const Negative* n = v.negative()) return krux_cbor_put_negative(w, n->n);
  if (const Bytes* b = v.bytes()) return krux_cbor_put_bytes(w, b->data(), b->size());
  if (const std::string* s = v.text()) return krux_cbor_put_text(w, s->data(), s->size());
  if (const bool* b = v.boolean()) return krux_cbor_put_bool(w, *b);
  if (const Array* a = v.array()) {
    krux_cbor_put_array(w, a->size());
    for (const Value& item : *a) Write(w, item);
    return;
  }
  if (const Map* m = v.map()) {
    krux_cbor_put_map(w, m->size());
    for (const auto& [key, value] : *m) {
      Write(w, key);
      Write(w, value);
    }
    return;
  }
  krux_cbor_put_null(w);
}

// Reads one item of bytes that krux_cbor_validate accepted, so nothing here can fail.
Value Read(krux_cbor_reader* r) {
  krux_cbor_item item;
  if (krux_cbor_next(r, &item) != KRUX_CBOR_OK) return nullptr;
  const size_t size = item.data == nullptr ? 0 : static_cast<size_t>(item.number);
  switch (item.type) {
    case KRUX_CBOR_UINT:
      return item.number;
    case KRUX_CBOR_NEGATIVE:
      return Negative{item.number};
    case KRUX_CBOR_BYTES:
      return Bytes(item.data, item.data + size);
    case KRUX_CBOR_TEXT:
      return std::string(reinterpret_cast<const char*>(item.data), size);
    case KRUX_CBOR_ARRAY: {
      Array array;
      for (uint64_t i = 0; i < item.number; ++i) array.push_back(Read(r));
      return array;
    }
    case KRUX_CBOR_MAP: {
      Map map;
      for (uint64_t i = 0; i < item.number; ++i) {
        Value key = Read(r);
        map.Set(std::move(key), Read(r));
      }
      return map;
    }
    case KRUX_CBOR_FALSE:
      return false;
    case KRUX_CBOR_TRUE:
      return true;
    case KRUX_CBOR_NULL:
      break;
  }
  return nullptr;
}

// Code points that change how the text around them is shown: C1 controls, line and paragraph
// separators, bidirectional marks and overrides, zero-width characters, the byte order mark.
bool IsDeceptive(uint32_t c) {
  return (c >= 0x80 && c <= 0x9f) || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x2069) || c == 0x061c || c == 0xfeff ||
         (c >= 0xe0000 && c <= 0xe007f);
}

uint32_t CodePoint(std::string_view sequence) {
  const uint8_t* s = Raw(sequence);
  switch (sequence.size()) {
    case 1:
      return s[0];
    case 2:
      return (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
    case 3:
      return (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
    default:
      return (s[0] & 0x07u) << 18 | (s[1] & 0x3fu) << 12 | (s[2] & 0x3fu) << 6 | (s[3] & 0x3fu);
  }
}

void Quote(std::string_view text, std::string* out) {
  *out += '"';
  while (!text.empty()) {
    const std::string_view sequence = text.substr(0, std::max<size_t>(1, SequenceSize(text)));
    const uint32_t c = CodePoint(sequence);
    char escaped[16];
    if (c == '"' || c == '\\') {
      (*out += '\\') += static_cast<char>(c);
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '\t') {
      *out += "\\t";
    } else if (c < 0x20 || c == 0x7f || (IsDeceptive(c) && c <= 0xffff)) {
      std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
      *out += escaped;
    } else if (IsDeceptive(c)) {
      std::snprintf(escaped, sizeof escaped, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                    0xdc00 + ((c - 0x10000) & 0x3ff));
      *out += escaped;
    } else {
      *out += sequence;
    }
    text.remove_prefix(sequence.size());
  }
  *out += '"';
}

// -1 - n in decimal; n = 2^64 - 1 gives a number no 64-bit type holds.
std::string NegativeText(uint64_t n) {
  return n == UINT64_MAX ? "-18446744073709551616" : "-" + std::to_string(n + 1);
}

void Print(const Value& v, std::string* out) {
  if (const uint64_t* n = v.uint()) {
    *out += std::to_string(*n);
  } else if (const Negative* negative = v.negative()) {
    *out += NegativeText(negative->n);
  } else if (const Bytes* bytes = v.bytes()) {
    constexpr char kHex[] = "0123456789abcdef";
    *out += "h'";
    for (uint8_t b : *bytes) (*out += kHex[b >> 4]) += kHex[b & 15];
    *out += '\'';
  } else if (const std::string* text = v.text()) {
    Quote(*text, out);
  } else if (const bool* boolean = v.boolean()) {
    *out += *boolean ? "true" : "false";
  } else if (const Array* array = v.array()) {
    *out += '[';
    for (size_t i = 0; i < array->size(); ++i) {
      if (i > 0) *out += ", ";
      Print((*array)[i], out);
    }
    *out += ']';
  } else if (const Map* map = v.map()) {
    *out += '{';
    const char* separator = "";
    for (const auto& [key, value] : *map) {
      *out += separator;
      separator = ", ";
      Print(key, out);
      *out += ": ";
      Print(value, out);
    }
    *out += '}';
  } else {
    *out += "null";
  }
}

// A key as messages show it: `name` or `7`, long ones cut.
std::string KeyText(const Value& key) {
  std::string text = Diagnostic(key);
  if (key.text() != nullptr) text = text.substr(1, text.size() - 2);
  if (text.size() > 64) text = ReplaceInvalid(text.substr(0, 61)) + "...";
  return "`" + text + "`";
}

}  // namespace

Map::Map(std::initializer_list<Entry> entries) {
  for (const Entry& entry : entries) Set(entry.first, entry.second);
}

size_t Map::Position(const Value& key) const {
  // Decoding and most builders add in order: look at the end first.
  if (entries_.empty() || entries_.back().first.Order(key) < 0) return entries_.size();
  auto at = std::lower_bound(entries_.begin(), entries_.end(), key,
                             [](const Entry& e, const Value& k) { return e.first.Order(k) < 0; });
  return static_cast<size_t>(at - entries_.begin());
}

void Map::Set(Value key, Value value) {
  const size_t at = Position(key);
  if (at < entries_.size() && entries_[at].first == key) {
    entries_[at].second = std::move(value);
  } else {
    entries_.emplace(entries_.begin() + static_cast<std::ptrdiff_t>(at), std::move(key),
                     std::move(value));
  }
}

const Value* Map::Find(const Value& key) const {
  const size_t at = Position(key);
  return at < entries_.size() && entries_[at].first == key ? &entries_[at].second : nullptr;
}

void Map::Remove(const Value& key) {
  const size_t at = Position(key);
  if (at < entries_.size() && entries_[at].first == key) {
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

bool Map::operator==(const Map& other) const { return entries_ == other.entries_; }

Value::Value(const Value&) = default;
Value::Value(Value&&) noexcept = default;
Value& Value::operator=(const Value&) = default;
Value& Value::operator=(Value&&) noexcept = default;
Value::~Value() = default;

Value::Value(int i) : Value(int64_t{i}) {}

Value::Value(int64_t i) : v_(static_cast<uint64_t>(i)) {
  // ~i is -1 - i in two's complement, which is what the wire holds.
  if (i < 0) v_ = Negative{static_cast<uint64_t>(~i)};
}

Value::Value(std::string s) : v_(nullptr) { v_ = IsUtf8(s) ? std::move(s) : ReplaceInvalid(s); }

std::optional<int64_t> Value::integer() const {
  if (const uint64_t* n = uint(); n != nullptr && *n <= INT64_MAX) return static_cast<int64_t>(*n);
  if (const Negative* n = negative(); n != nullptr && n->n <= INT64_MAX) {
    return -1 - static_cast<int64_t>(n->n);
  }
  return std::nullopt;
}

std::strong_ordering Value::Order(const Value& other) const {
  if (const int a = Rank(*this), b = Rank(other); a != b) return a <=> b;
  if (const uint64_t* n = uint()) return *n <=> *other.uint();
  if (const Negative* n = negative()) return n->n <=> other.negative()->n;
  if (const Bytes* b = bytes()) {
    return Sequence(b->data(), b->size(), other.bytes()->data(), other.bytes()->size());
  }
  if (const std::string* s = text()) {
    return Sequence(s->data(), s->size(), other.text()->data(), other.text()->size());
  }
  if (const Array* a = array()) {
    const Array& b = *other.array();
    if (a->size() != b.size()) return a->size() <=> b.size();
    for (size_t i = 0; i < b.size(); ++i) {
      if (const auto order = (*a)[i].Order(b[i]); order != 0) return order;
    }
  }
  if (const Map* a = map()) {
    const Map& b = *other.map();
    if (a->size() != b.size()) return a->size() <=> b.size();
    for (size_t i = 0; i < b.size(); ++i) {
      if (const auto order = a->begin()[i].first.Order(b.begin()[i].first); order != 0)
        return order;
      if (const auto order = a->begin()[i].second.Order(b.begin()[i].second); order != 0)
        return order;
    }
  }
  return std::strong_ordering::equal;
}

bool IsUtf8(std::string_view text) { return krux_utf8_valid(Raw(text), text.size()); }

Bytes Encode(const Value& value) {
  krux_cbor_writer count = krux_cbor_writer_at(nullptr, 0);
  Write(&count, value);
  Bytes out(count.size);
  krux_cbor_writer w = krux_cbor_writer_at(out.data(), out.size());
  Write(&w, value);
  return out;
}

Result<Value> Decode(std::span<const uint8_t> bytes, size_t max_bytes) {
  if (bytes.size() > max_bytes) {
    return Fail(ExitCode::kBadData, "cbor",
                "the message has " + std::to_string(bytes.size()) + " bytes; at most " +
                    std::to_string(max_bytes) + " are accepted");
  }
  const krux_cbor_status status = krux_cbor_validate(bytes.data(), bytes.size(), kMaxDepth);
  if (status != KRUX_CBOR_OK) {
    return Fail(ExitCode::kBadData, "cbor",
                std::string("not deterministic CBOR: ") + krux_cbor_status_text(status));
  }
  krux_cbor_reader reader = krux_cbor_reader_at(bytes.data(), bytes.size());
  return Read(&reader);
}

std::string Diagnostic(const Value& value) {
  std::string out;
  Print(value, &out);
  return out;
}

// ---- MapReader ----

MapReader::MapReader(const Value& value, std::string_view what) : what_(what) {
  if (const Map* map = value.map()) {
    map_ = *map;
    used_.resize(map_.size());
  } else {
    error_ = "`" + what_ + "`: must be a map";
  }
}

void MapReader::FailAt(const Value& key, std::string_view why) {
  if (!error_.empty()) return;
  error_ = "`" + what_ + "`: key " + KeyText(key) + " ";
  error_ += why;
}

bool MapReader::Has(const Value& key) { return map_.Find(key) != nullptr; }

const Value* MapReader::Get(const Value& key) {
  if (!error_.empty()) return nullptr;
  for (size_t i = 0; i < map_.size(); ++i) {
    if (map_.begin()[i].first == key) {
      used_[i] = true;
      return &map_.begin()[i].second;
    }
  }
  FailAt(key, "is missing");
  return nullptr;
}

uint64_t MapReader::Uint(const Value& key, uint64_t max) {
  const Value* value = Get(key);
  if (value == nullptr) return 0;
  if (value->uint() == nullptr) return FailAt(key, "must be an unsigned integer"), 0;
  if (*value->uint() > max) return FailAt(key, "must be at most " + std::to_string(max)), 0;
  return *value->uint();
}

std::string MapReader::Text(const Value& key, size_t max_bytes) {
  const Value* value = Get(key);
  if (value == nullptr) return {};
  if (value->text() == nullptr) return FailAt(key, "must be text"), std::string();
  if (value->text()->size() > max_bytes) {
    return FailAt(key, "must have at most " + std::to_string(max_bytes) + " bytes"), std::string();
  }
  return *value->text();
}

Bytes MapReader::ByteString(const Value& key, size_t max_bytes) {
  const Value* value = Get(key);
  if (value == nullptr) return {};
  if (value->bytes() == nullptr) return FailAt(key, "must be a byte string"), Bytes();
  if (value->bytes()->size() > max_bytes) {
    return FailAt(key, "must have at most " + std::to_string(max_bytes) + " bytes"), Bytes();
  }
  return *value->bytes();
}

Bytes MapReader::Fixed(const Value& key, size_t size) {
  Bytes bytes = ByteString(key);
  if (error_.empty() && bytes.size() != size) {
    FailAt(key, "must have " + std::to_string(size) + " bytes");
  }
  return error_.empty() ? bytes : Bytes(size);
}

bool MapReader::Boolean(const Value& key) {
  const Value* value = Get(key);
  if (value == nullptr) return false;
  if (value->boolean() == nullptr) return FailAt(key, "must be true or false"), false;
  return *value->boolean();
}

Value MapReader::Any(const Value& key) {
  const Value* value = Get(key);
  return value == nullptr ? Value() : *value;
}

Map MapReader::Submap(const Value& key) {
  const Value* value = Get(key);
  if (value == nullptr) return {};
  if (value->map() == nullptr) return FailAt(key, "must be a map"), Map();
  return *value->map();
}

Array MapReader::List(const Value& key, size_t max_items) {
  const Value* value = Get(key);
  if (value == nullptr) return {};
  if (value->array() == nullptr) return FailAt(key, "must be an array"), Array();
  if (value->array()->size() > max_items) {
    return FailAt(key, "must have at most " + std::to_string(max_items) + " items"), Array();
  }
  return *value->array();
}

Result<void> MapReader::Finish() {
  for (size_t i = 0; i < used_.size() && error_.empty(); ++i) {
    if (!used_[i]) error_ = "`" + what_ + "`: unknown key " + KeyText(map_.begin()[i].first);
  }
  if (error_.empty()) return {};
  return Fail(ExitCode::kBadData, "cbor", error_);
}

}  // namespace krux::cbor
