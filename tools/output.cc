#include "tools/output.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/terminal.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

// Writes all of it. A reader that went away (EPIPE without SIGPIPE) or a full disk ends the program
// with its exit code: whoever asked must not take a part for the whole.
void WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      _exit(ToInt(ExitCode::kFailed));
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
}

// Width on the terminal, near enough for our tables: one column per code point.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

}  // namespace

Format FormatFromName(std::string_view name) {
  if (name == "json") return Format::kJson;
  if (name == "jsonl") return Format::kJsonl;
  if (name == "cbor") return Format::kCbor;
  return Format::kTable;
}

Output::Output(Format format)
    : format_(format), out_tty_(isatty(STDOUT_FILENO) == 1), err_tty_(isatty(STDERR_FILENO) == 1) {
  const char* no_colour = getenv("NO_COLOR");  // no-color.org: any value that is not empty
  const char* term = getenv("TERM");
  colour_ = out_tty_ && (no_colour == nullptr || *no_colour == '\0') && term != nullptr &&
            std::string_view(term) != "dumb";
}

void Output::Bytes(std::string_view content) const {
  if (out_tty_) {
    WriteAll(STDOUT_FILENO, EscapeText(content));
  } else {
    WriteAll(STDOUT_FILENO, content);
  }
}

void Output::ErrorBytes(std::string_view content) const {
  if (err_tty_) {
    WriteAll(STDERR_FILENO, EscapeText(content));
  } else {
    WriteAll(STDERR_FILENO, content);
  }
}

void Output::Text(std::string_view text) const { WriteAll(STDOUT_FILENO, text); }

void Output::Value(const cbor::Value& value) const {
  if (format_ == Format::kCbor) {
    const cbor::Bytes bytes = cbor::Encode(value);
    WriteAll(STDOUT_FILENO, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    return;
  }
  const JsonStyle style{.indent = format_ == Format::kJsonl ? -1 : 2, .ascii_only = out_tty_};
  WriteAll(STDOUT_FILENO, PrintJson(value, style) + "\n");
}

void Output::Table(const std::vector<std::vector<std::string>>& rows) const {
  std::vector<size_t> widths;
  std::vector<std::vector<std::string>> escaped;
  for (const auto& row : rows) {
    std::vector<std::string>& cells = escaped.emplace_back();
    for (size_t i = 0; i < row.size(); ++i) {
      cells.push_back(EscapeLine(row[i]));
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], Width(cells.back()));
    }
  }
  std::string text;
  for (const auto& cells : escaped) {
    for (size_t i = 0; i < cells.size(); ++i) {
      text += cells[i];
      if (i + 1 < cells.size()) text.append(widths[i] - Width(cells[i]) + 2, ' ');
    }
    text += '\n';
  }
  WriteAll(STDOUT_FILENO, text);
}

void Output::Say(std::string_view message) const {
  WriteAll(STDERR_FILENO, "krux: " + EscapeLine(message) + "\n");
}

int Output::Complain(const Error& error) const {
  Say(error.message.empty() ? Meaning(error.code) : error.message);
  return ToInt(error.code);
}

cbor::Map TextOrBase64(std::string_view content) {
  if (IsUtf8(content)) return {{"text", content}};
  return {{"base64", Base64(content)}};
}

}  // namespace krux::tools
