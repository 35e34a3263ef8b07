// Does one pattern cover all that another covers? By spelling: a wildcard of the narrow pattern is
// a letter that only a wildcard of the wide one takes.
#include <algorithm>

#include "policy/match.h"

namespace krux::policy {
namespace {

constexpr std::string_view kManyParts = "**";

// One step of a part: a byte as it is, or a wildcard.
struct Letter {
  char byte = 0;
  char wildcard = 0;  // '*', '?' or 0
};

std::vector<Letter> Letters(std::string_view part) {
  std::vector<Letter> letters;
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] == '*' || part[i] == '?') {
      letters.push_back({0, part[i]});
    } else {
      if (part[i] == '\\' && i + 1 < part.size()) ++i;
      letters.push_back({part[i], 0});
    }
  }
  return letters;
}

// `wide` is walked greedily with one resume point, as in MatchPart.
bool PartSubsumes(std::string_view wide_part, std::string_view narrow_part) {
  const std::vector<Letter> wide = Letters(wide_part), narrow = Letters(narrow_part);
  size_t w = 0, n = 0, star = wide.size() + 1, resume = 0;
  while (n < narrow.size()) {
    const bool same = w < wide.size() && wide[w].wildcard == narrow[n].wildcard &&
                      wide[w].byte == narrow[n].byte && wide[w].wildcard != '*';
    if (w < wide.size() && wide[w].wildcard == '*') {
      star = w++;
      resume = n;
    } else if (same) {
      ++w;
      ++n;
    } else if (star <= wide.size()) {
      w = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (w < wide.size() && wide[w].wildcard == '*') ++w;
  return w == wide.size();
}

bool PartsSubsume(std::span<const std::string> wide, std::span<const std::string> narrow) {
  size_t w = 0, n = 0, many = wide.size() + 1, resume = 0;
  while (n < narrow.size()) {
    if (w < wide.size() && wide[w] == kManyParts) {
      many = w++;
      resume = n;
    } else if (w < wide.size() && narrow[n] != kManyParts && PartSubsumes(wide[w], narrow[n])) {
      ++w;
      ++n;
    } else if (many <= wide.size()) {
      w = many + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (w < wide.size() && wide[w] == kManyParts) ++w;
  return w == wide.size();
}

}  // namespace

bool Subsumes(const Pattern& wide, const Pattern& narrow) {
  if (wide.in_work == narrow.in_work) return PartsSubsume(wide.parts, narrow.parts);
  if (wide.in_work) return false;
  // ${WORK} is some components nobody knows yet: only `**` takes them.
  std::vector<std::string> parts = {std::string(kManyParts)};
  parts.insert(parts.end(), narrow.parts.begin(), narrow.parts.end());
  return PartsSubsume(wide.parts, parts);
}

const Pattern* FirstOutside(const Clause& wide, const Clause& narrow) {
  if (wide.any) return nullptr;
  const auto found = std::ranges::find_if(narrow.allow, [&](const Pattern& pattern) {
    return std::ranges::none_of(wide.allow,
                                [&](const Pattern& other) { return Subsumes(other, pattern); });
  });
  return found == narrow.allow.end() ? nullptr : &*found;
}

}  // namespace krux::policy
