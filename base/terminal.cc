#include "base/terminal.h"

#include <cstdint>

#include "base/path.h"

namespace krux {
namespace {

struct Rune {
  uint32_t code = 0;
  unsigned bytes = 0;  // 0: not UTF-8 at this place
};

// Decodes the first code point; Unicode 15, table 3-7: the second byte's range depends on the
// first.
Rune Next(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = at(0);
  if (first < 0x80) return {first, 1};
  unsigned bytes = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    bytes = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    bytes = 3;
    if (first == 0xe0) low = 0xa0;   // overlong below
    if (first == 0xed) high = 0x9f;  // surrogates above
  } else if (first >= 0xf0 && first <= 0xf4) {
    bytes = 4;
    if (first == 0xf0) low = 0x90;   // overlong below
    if (first == 0xf4) high = 0x8f;  // over U+10FFFF above
  }
  if (bytes == 0 || text.size() < bytes) return {};
  uint32_t code = first & (0x7fU >> bytes);
  for (unsigned i = 1; i < bytes; ++i) {
    if (at(i) < low || at(i) > high) return {};
    code = code << 6 | (at(i) & 0x3fU);
    low = 0x80;
    high = 0xbf;
  }
  return {code, bytes};
}

// Code points that steer a terminal, or that make text look like other text than it is.
bool Dangerous(uint32_t code) {
  if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return true;
  return code == 0x061c ||                      // Arabic letter mark
         code == 0x200e || code == 0x200f ||    // left-to-right and right-to-left mark
         (code >= 0x2028 && code <= 0x202e) ||  // line, paragraph separator, embeddings, overrides
         (code >= 0x2066 && code <= 0x2069) ||  // isolates
         code == 0xfeff ||                      // byte order mark: invisible
         (code >= 0xfff9 && code <= 0xfffb) ||  // interlinear annotation
         (code >= 0xe0000 && code <= 0xe007f);  // tags: invisible text
}

constexpr char kHex[] = "0123456789abcdef";

void AppendByte(uint8_t byte, std::string* out) {
  *out += "\\x";
  *out += kHex[byte >> 4];
  *out += kHex[byte & 15];
}

void AppendEscape(uint32_t code, std::string* out) {
  if (code < 0x80) return AppendByte(static_cast<uint8_t>(code), out);
  *out += "\\u{";
  int shift = 28;
  while (shift > 0 && (code >> shift & 15) == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) *out += kHex[code >> shift & 15];
  *out += '}';
}

std::string Escape(std::string_view text, bool one_line) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Rune rune = Next(text);
    if (rune.bytes == 0) {
      AppendByte(static_cast<uint8_t>(text.front()), &out);
      text.remove_prefix(1);
      continue;
    }
    if (rune.code == '\n' || rune.code == '\t') {
      if (one_line) out += '\\';
      out += one_line ? (rune.code == '\n' ? 'n' : 't') : static_cast<char>(rune.code);
    } else if (Dangerous(rune.code)) {
      AppendEscape(rune.code, &out);
    } else {
      out += text.substr(0, rune.bytes);
    }
    text.remove_prefix(rune.bytes);
  }
  return out;
}

}  // namespace

std::string EscapeText(std::string_view text) { return Escape(text, false); }

std::string EscapeLine(std::string_view text) { return Escape(text, true); }

bool IsUtf8(std::string_view text) { return krux_path_is_utf8(text.data(), text.size()); }

}  // namespace krux
