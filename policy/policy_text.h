// The text of an effective policy: its files one behind the other, each once, each behind a line
// that gives its name and length. It is what is hashed, stored beside the log, and read again.
//
//   # krux policy base 812 bytes
//   krux = 1
//   …
//   for (const PolicyPiece& piece : KRUX_TRY(Pieces(text))) Use(piece.file, piece.text);
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace krux::policy {

struct PolicyPiece {
  std::string_view file;   // "team.toml"
  std::string_view text;   // of the file
  std::string_view whole;  // with its first line
};

std::string PieceOf(std::string_view file, std::string_view text);
// kConfig for what is no such text.
Result<std::vector<PolicyPiece>> Pieces(std::string_view text);
// The pieces of `a` that `b` has not, then `b`: where two say the same, the last one is named.
std::string JoinTexts(std::string_view a, std::string_view b);

}  // namespace krux::policy
