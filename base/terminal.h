// Terminal: text that an agent supplied, made harmless for the terminal of the person who reads it.
//
//   fputs(EscapeText(file_content).c_str(), stdout);       // "\x1b[2J" arrives as `\x1b[2J`,
//   visible message = "cannot open `" + EscapeLine(path) + "`";    // one line stays one line
//
// Escaped are: C0 controls and DEL, C1 controls (U+0080–U+009F, which xterm takes for CSI and OSC),
// marks that reorder or hide text (bidi controls, line and paragraph separators, tags, byte order
// mark), and every byte that is not UTF-8 (Unicode 15 table 3-7). Escapes read `\x1b`, `\u{202e}`.
// The answer is for reading, not for parsing: a backslash itself stays as it is.
#pragma once

#include <string>
#include <string_view>

namespace krux {

// Newline and tab stay, everything else that a terminal could act on is escaped.
std::string EscapeText(std::string_view text);

// The same with newline and tab escaped too (`\n`, `\t`): for a string inside a line of ours.
std::string EscapeLine(std::string_view text);

// True when `text` is well-formed UTF-8: no overlong form, no surrogate, at most U+10FFFF.
bool IsUtf8(std::string_view text);

}  // namespace krux
