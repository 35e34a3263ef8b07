#include "tools/diagnostic.h"

#include <cbor.h>

#include <cmath>
#include <cstdio>
#include <memory>

namespace krux::tools {
namespace {

struct Release {
  void operator()(cbor_item_t* item) const { cbor_decref(&item); }
};
using Item = std::unique_ptr<cbor_item_t, Release>;

// libcbor 0.8 makes and clears room for as many items as an array claims to have before it looks
// whether they are there: nine bytes cost gigabytes. Each item is a byte at least, so together all
// arrays and maps cannot claim more than there are bytes.
bool ClaimsArePlausible(std::span<const uint8_t> bytes) {
  uint64_t left = bytes.size();
  for (size_t at = 0; at < bytes.size();) {
    const unsigned major = bytes[at] >> 5;
    const unsigned info = bytes[at] & 31;
    const size_t width = info < 24 || info > 27 ? 0 : size_t{1} << (info - 24);
    if (++at + width > bytes.size()) return false;
    uint64_t value = info < 24 ? info : 0;
    for (size_t i = 0; i < width; ++i) value = value << 8 | bytes[at++];
    if (info == 31 || major < 2 || major > 5) continue;
    if (value > left) return false;
    if (major < 4) {
      if (value > bytes.size() - at) return false;
      at += value;
    }
    const uint64_t items = major == 4 ? value : major == 5 ? 2 * value : 0;
    if (items > left) return false;
    left -= items;
  }
  return true;
}

Item Load(std::span<const uint8_t> bytes) {
  if (!ClaimsArePlausible(bytes)) return nullptr;
  cbor_load_result result;
  Item item(cbor_load(bytes.data(), bytes.size(), &result));
  if (result.error.code != CBOR_ERR_NONE || result.read != bytes.size()) return nullptr;
  return item;
}

std::string Hex(const uint8_t* bytes, size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < size; ++i) {
    out += kDigits[bytes[i] >> 4];
    out += kDigits[bytes[i] & 15];
  }
  return out;
}

void AppendUnit(std::string* out, uint32_t unit) {
  char text[8];
  std::snprintf(text, sizeof text, "\\u%04x", unit);
  *out += text;
}

// The code point at `*at`; a byte that begins none (libcbor lets any bytes pass for text) becomes
// U+FFFD.
uint32_t NextCodePoint(std::span<const uint8_t> text, size_t* at) {
  const uint8_t first = text[(*at)++];
  if (first < 0x80) return first;
  const size_t more = first >= 0xf0 && first < 0xf5 ? 3 : first >= 0xe0 ? 2 : first >= 0xc2 ? 1 : 0;
  if (first >= 0xf5 || more == 0 || *at + more > text.size()) return 0xfffd;
  uint32_t point = first & (0x3f >> more);
  for (size_t i = 0; i < more; ++i) {
    if ((text[*at + i] & 0xc0) != 0x80) return 0xfffd;
    point = point << 6 | (text[*at + i] & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
  if (point < kLeast[more] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
    return 0xfffd;
  *at += more;
  return point;
}

// A JSON string, which is also one of the diagnostic notation; ASCII only.
std::string Quoted(std::span<const uint8_t> text) {
  std::string out = "\"";
  for (size_t at = 0; at < text.size();) {
    const uint32_t point = NextCodePoint(text, &at);
    if (point == '"' || point == '\\') {
      out += '\\';
      out += static_cast<char>(point);
    } else if (point >= 0x20 && point < 0x7f) {
      out += static_cast<char>(point);
    } else if (point >= 0x10000) {
      AppendUnit(&out, 0xd800 + ((point - 0x10000) >> 10));
      AppendUnit(&out, 0xdc00 + ((point - 0x10000) & 0x3ff));
    } else {
      AppendUnit(&out, point);
    }
  }
  return out + "\"";
}

// The content of a string, its chunks put together.
std::string StringContent(const cbor_item_t* item) {
  const bool text = cbor_isa_string(item);
  std::string out;
  const auto add = [&](const cbor_item_t* part) {
    const uint8_t* data = text ? cbor_string_handle(part) : cbor_bytestring_handle(part);
    const size_t size = text ? cbor_string_length(part) : cbor_bytestring_length(part);
    if (size > 0) out.append(reinterpret_cast<const char*>(data), size);
  };
  if (text ? cbor_string_is_definite(item) : cbor_bytestring_is_definite(item)) {
    add(item);
    return out;
  }
  const size_t count = text ? cbor_string_chunk_count(item) : cbor_bytestring_chunk_count(item);
  cbor_item_t** chunks =
      text ? cbor_string_chunks_handle(item) : cbor_bytestring_chunks_handle(item);
  for (size_t i = 0; i < count; ++i) add(chunks[i]);
  return out;
}

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string Negative(uint64_t n) {
  // -1 - n; 2^64 - 1 is one step below what fits.
  return n == UINT64_MAX ? "-18446744073709551616" : "-" + std::to_string(n + 1);
}

class Printer {
 public:
  explicit Printer(bool json) : json_(json) {}

  std::string Print(const cbor_item_t* item) const {
    switch (cbor_typeof(item)) {
      case CBOR_TYPE_UINT:
        return std::to_string(cbor_get_int(item));
      case CBOR_TYPE_NEGINT:
        return Negative(cbor_get_int(item));
      case CBOR_TYPE_BYTESTRING: {
        const std::string content = StringContent(item);
        const std::string hex = Hex(Bytes(content).data(), content.size());
        return json_ ? "{\"hex\":\"" + hex + "\"}" : "h'" + hex + "'";
      }
      case CBOR_TYPE_STRING:
        return Quoted(Bytes(StringContent(item)));
      case CBOR_TYPE_ARRAY:
        return Array(item);
      case CBOR_TYPE_MAP:
        return Map(item);
      case CBOR_TYPE_TAG:
        return Tag(item);
      case CBOR_TYPE_FLOAT_CTRL:
        return Simple(item);
    }
    return "?";
  }

 private:
  std::string Array(const cbor_item_t* item) const {
    std::string out = "[";
    for (size_t i = 0; i < cbor_array_size(item); ++i) {
      if (i > 0) out += json_ ? "," : ", ";
      out += Print(cbor_array_handle(item)[i]);
    }
    return out + "]";
  }

  std::string Map(const cbor_item_t* item) const {
    std::string out = "{";
    for (size_t i = 0; i < cbor_map_size(item); ++i) {
      const cbor_pair& pair = cbor_map_handle(item)[i];
      if (i > 0) out += json_ ? "," : ", ";
      const bool text = cbor_isa_string(pair.key);
      const std::string key = Printer(false).Print(pair.key);
      out += json_ && !text ? Quoted(Bytes(key)) : key;
      out += json_ ? ":" : ": ";
      out += Print(pair.value);
    }
    return out + "}";
  }

  std::string Tag(const cbor_item_t* item) const {
    const std::string number = std::to_string(cbor_tag_value(item));
    const Item inner(cbor_tag_item(item));
    if (!json_) return number + "(" + Print(inner.get()) + ")";
    return "{\"tag\":" + number + ",\"value\":" + Print(inner.get()) + "}";
  }

  std::string Simple(const cbor_item_t* item) const {
    if (!cbor_float_ctrl_is_ctrl(item)) {
      const double value = cbor_float_get_float(item);
      char text[40];
      std::snprintf(text, sizeof text, "%.17g", value);
      if (std::isfinite(value)) return text;
      const std::string word = std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
      return json_ ? "\"" + word + "\"" : word;
    }
    switch (cbor_ctrl_value(item)) {
      case CBOR_CTRL_FALSE:
        return "false";
      case CBOR_CTRL_TRUE:
        return "true";
      case CBOR_CTRL_NULL:
        return "null";
      default:  // libcbor knows no other simple value
        return json_ ? "\"undefined\"" : "undefined";
    }
  }

  bool json_;
};

std::optional<std::string> Printed(std::span<const uint8_t> bytes, bool json) {
  const Item item = Load(bytes);
  if (item == nullptr) return std::nullopt;
  return Printer(json).Print(item.get());
}

}  // namespace

std::optional<std::string> DiagnosticText(std::span<const uint8_t> bytes) {
  return Printed(bytes, false);
}

std::optional<std::string> DiagnosticJson(std::span<const uint8_t> bytes) {
  return Printed(bytes, true);
}

std::optional<uint64_t> NumberUnderKey(std::span<const uint8_t> bytes, uint64_t key) {
  const Item item = Load(bytes);
  if (item == nullptr || !cbor_isa_map(item.get())) return std::nullopt;
  for (size_t i = 0; i < cbor_map_size(item.get()); ++i) {
    const cbor_pair& pair = cbor_map_handle(item.get())[i];
    if (!cbor_isa_uint(pair.key) || cbor_get_int(pair.key) != key) continue;
    if (!cbor_isa_uint(pair.value)) return std::nullopt;
    return cbor_get_int(pair.value);
  }
  return std::nullopt;
}

}  // namespace krux::tools
