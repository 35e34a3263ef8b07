// Output: how krux speaks. Data goes to stdout, talk to stderr, and what an agent supplied never
// reaches a terminal raw.
//
//   Output out(Format::kTable);
//   out.Bytes(content);                          // exact, or escaped when stdout is a terminal
//   return out.Complain(error);                  // "krux: …" on stderr, the error's exit code
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/cbor_value.h"
#include "base/error.h"

namespace krux::tools {

enum class Format : uint8_t { kTable, kJson, kJsonl, kCbor };

// Format called `name`: "table", "json", "jsonl", "cbor"; kTable for another word.
Format FormatFromName(std::string_view name);

class Output {
 public:
  explicit Output(Format format);

  Format format() const { return format_; }
  bool colour() const { return colour_; }
  // True when the answer is one value (json, jsonl, cbor) and not text for a person.
  bool structured() const { return format_ != Format::kTable; }

  // `content` to stdout: exact bytes, or EscapeText of it when stdout is a terminal.
  void Bytes(std::string_view content) const;
  // The same to stderr, for a program's stderr.
  void ErrorBytes(std::string_view content) const;
  // Text of krux's own; what an agent named must have passed EscapeLine.
  void Text(std::string_view text) const;
  // One structured value, in this format; kTable prints JSON.
  void Value(const cbor::Value& value) const;
  // Rows with aligned columns; every cell passes EscapeLine.
  void Table(const std::vector<std::vector<std::string>>& rows) const;
  // "krux: message" on stderr.
  void Say(std::string_view message) const;
  // Says the error and returns its exit code.
  int Complain(const Error& error) const;

 private:
  Format format_;
  bool out_tty_;
  bool err_tty_;
  bool colour_;
};

// {"text": …} where `content` is UTF-8 text, else {"base64": …}.
cbor::Map TextOrBase64(std::string_view content);

}  // namespace krux::tools
