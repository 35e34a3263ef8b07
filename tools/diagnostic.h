// Diagnostic: CBOR for reading, by a decoder that shares nothing with krux's own (libcbor). It
// takes any CBOR, also what no record may hold: floats, tags, indefinite lengths, duplicate keys.
//
//   std::optional<std::string> text = DiagnosticText(bytes);      // {0: 1, 2: h'00ff', 3: "a"}
//   std::optional<std::string> json = DiagnosticJson(bytes);      // {"0":1,"2":{"hex":"00ff"},…}
//
// Both are one line of printable ASCII whatever the bytes say: nothing in them acts on a terminal.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace krux::tools {

// RFC 8949 §8. Nothing where `bytes` are not exactly one item.
std::optional<std::string> DiagnosticText(std::span<const uint8_t> bytes);
// Byte strings are {"hex": "…"}, tags {"tag": n, "value": …}, keys of a map their diagnostic text.
std::optional<std::string> DiagnosticJson(std::span<const uint8_t> bytes);

// The unsigned value of a key of the map that `bytes` hold, where there is one.
std::optional<uint64_t> NumberUnderKey(std::span<const uint8_t> bytes, uint64_t key);

}  // namespace krux::tools
