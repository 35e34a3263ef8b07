#include "policy/policy_text.h"

#include <algorithm>
#include <charconv>

namespace krux::policy {
namespace {
constexpr std::string_view kHead = "# krux policy ";
constexpr std::string_view kTail = " bytes";
}  // namespace

std::string PieceOf(std::string_view file, std::string_view text) {
  std::string piece(kHead);
  piece.append(file).append(" ").append(std::to_string(text.size())).append(kTail).append("\n");
  return piece.append(text);
}

Result<std::vector<PolicyPiece>> Pieces(std::string_view text) {
  const auto broken = [] {
    return Fail(ExitCode::kConfig, "policy", "the stored policy is not what krux stored");
  };
  std::vector<PolicyPiece> pieces;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, std::min(end, text.size()));
    if (end == std::string_view::npos || !line.starts_with(kHead) || !line.ends_with(kTail))
      return broken();
    line.remove_prefix(kHead.size());
    line.remove_suffix(std::min(kTail.size(), line.size()));
    const size_t blank = line.rfind(' ');
    if (blank == std::string_view::npos) return broken();
    const std::string_view number = line.substr(blank + 1);
    size_t size = 0;
    const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), size);
    if (error != std::errc() || stop != number.data() + number.size() ||
        size > text.size() - end - 1) {
      return broken();
    }
    pieces.push_back(
        {line.substr(0, blank), text.substr(end + 1, size), text.substr(0, end + 1 + size)});
    text.remove_prefix(end + 1 + size);
  }
  return pieces;
}

std::string JoinTexts(std::string_view a, std::string_view b) {
  const auto left = Pieces(a), right = Pieces(b);
  if (!left || !right) return std::string(a).append(b);
  std::string joined;
  for (const PolicyPiece& piece : *left) {
    if (std::ranges::find(*right, piece.whole, &PolicyPiece::whole) == right->end())
      joined.append(piece.whole);
  }
  return joined.append(b);
}

}  // namespace krux::policy
