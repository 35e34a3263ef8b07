#include "tools/json.h"

#include <nlohmann/json.hpp>

namespace krux::tools {
namespace {

using Json = nlohmann::ordered_json;

// Builds a cbor::Value event by event: nothing of the library's own tree is ever built from input.
class Reader {
 public:
  using number_integer_t = Json::number_integer_t;
  using number_unsigned_t = Json::number_unsigned_t;
  using number_float_t = Json::number_float_t;
  using string_t = Json::string_t;
  using binary_t = Json::binary_t;

  bool null() { return Add(nullptr); }
  bool boolean(bool b) { return Add(b); }
  bool number_integer(number_integer_t n) { return Add(static_cast<int64_t>(n)); }
  bool number_unsigned(number_unsigned_t n) { return Add(static_cast<uint64_t>(n)); }
  bool number_float(number_float_t /*n*/, const string_t& text) {
    return Fail("`" + text + "` is not a whole number; krux knows no fractions");
  }
  bool string(string_t& text) { return Add(text); }
  bool binary(binary_t& /*bytes*/) { return Fail("binary values do not exist in JSON"); }
  bool start_object(std::size_t /*n*/) { return Open(true); }
  bool start_array(std::size_t /*n*/) { return Open(false); }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }
  bool key(string_t& name) {
    if (open_.back().map.Find(name) != nullptr) return Fail("the key `" + name + "` stands twice");
    open_.back().key = name;
    return true;
  }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) {
    return Fail("not JSON at byte " + std::to_string(position));
  }

  std::string error;
  cbor::Value root;

 private:
  struct Level {
    bool object = false;
    cbor::Map map;
    cbor::Array array;
    std::string key;
  };

  bool Fail(std::string why) {
    if (error.empty()) error = std::move(why);
    return false;
  }
  bool Open(bool object) {
    if (open_.size() >= kMaxJsonDepth) {
      return Fail("nested deeper than " + std::to_string(kMaxJsonDepth) + " levels");
    }
    open_.emplace_back().object = object;
    return true;
  }
  bool Close() {
    Level level = std::move(open_.back());
    open_.pop_back();
    if (level.object) return Add(std::move(level.map));
    return Add(std::move(level.array));
  }
  bool Add(cbor::Value value) {
    if (open_.empty()) {
      root = std::move(value);
    } else if (open_.back().object) {
      open_.back().map.Set(open_.back().key, std::move(value));
    } else {
      open_.back().array.push_back(std::move(value));
    }
    return true;
  }

  std::vector<Level> open_;
};

// Depth is bounded by what a cbor::Value can hold (kMaxDepth when it was decoded).
Json ToJson(const cbor::Value& value) {
  if (const bool* b = value.boolean()) return *b;
  if (const uint64_t* n = value.uint()) return *n;
  if (const auto number = value.integer()) return *number;
  if (const std::string* text = value.text()) return *text;
  if (const cbor::Bytes* bytes = value.bytes()) return Hex(*bytes);
  if (const cbor::Array* array = value.array()) {
    Json out = Json::array();
    for (const cbor::Value& item : *array) out.push_back(ToJson(item));
    return out;
  }
  if (const cbor::Map* map = value.map()) {
    Json out = Json::object();
    for (const auto& [key, item] : *map) {
      out[key.text() != nullptr ? *key.text() : cbor::Diagnostic(key)] = ToJson(item);
    }
    return out;
  }
  if (value.negative() != nullptr) return cbor::Diagnostic(value);  // below what 64 bits hold
  return nullptr;
}

}  // namespace

Result<cbor::Value> ParseJson(std::string_view text) {
  constexpr std::string_view kStage = "read JSON";
  if (text.size() > kMaxJsonBytes) {
    return Fail(ExitCode::kBadData, kStage,
                "the JSON is longer than " + std::to_string(kMaxJsonBytes) + " bytes; send less");
  }
  Reader reader;
  if (!Json::sax_parse(text, &reader)) {
    return Fail(ExitCode::kBadData, kStage, "bad JSON: " + reader.error);
  }
  return std::move(reader.root);
}

std::string PrintJson(const cbor::Value& value, const JsonStyle& style) {
  return ToJson(value).dump(style.indent, ' ', style.ascii_only, Json::error_handler_t::replace);
}

std::string Base64(std::string_view bytes) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0U);
    }
    for (size_t j = 0; j < 4; ++j) {
      out += i + j > bytes.size() ? '=' : kAlphabet[group >> (18 - 6 * j) & 63];
    }
  }
  return out;
}

std::string Hex(std::span<const uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

}  // namespace krux::tools
