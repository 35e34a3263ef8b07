// JSON in and out of the CLI. The only door to the JSON library, which on its own accepts any depth
// (and then overflows the stack) and takes the last of two equal keys.
//
//   cbor::Value args = KRUX_TRY(ParseJson(R"({"path":"/etc/hosts","limit":10})"));
//   puts(PrintJson(args, {.indent = 2}).c_str());
//
// Read are null, booleans, integers, text, arrays and objects, at most kMaxJsonDepth levels and
// kMaxJsonBytes bytes; fractions, duplicate keys and bytes that are not UTF-8 are kBadData.
#pragma once

#include <string>
#include <string_view>

#include "base/cbor_value.h"
#include "base/error.h"

namespace krux::tools {

inline constexpr int kMaxJsonDepth = cbor::kMaxDepth;
inline constexpr size_t kMaxJsonBytes = 1024 * 1024;

Result<cbor::Value> ParseJson(std::string_view text);

struct JsonStyle {
  int indent = -1;          // spaces per level; -1: one line
  bool ascii_only = false;  // escapes everything but printable ASCII: safe for a terminal
};
// Byte strings become lower-case hex, the keys keep the order of the map. Ends without newline.
std::string PrintJson(const cbor::Value& value, const JsonStyle& style);

// RFC 4648 §4, padded.
std::string Base64(std::string_view bytes);
std::string Hex(std::span<const uint8_t> bytes);

}  // namespace krux::tools
