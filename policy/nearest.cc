#include "policy/nearest.h"

#include <algorithm>
#include <array>

namespace krux::policy {
namespace {

constexpr size_t kMaxWord = 64;

std::string Folded(std::string_view word) {
  std::string folded;
  for (const char c : word) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
    folded += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return folded;
}

// Levenshtein distance with one row.
size_t Distance(std::string_view a, std::string_view b) {
  std::array<size_t, kMaxWord + 1> row;
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view Nearest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() > kMaxWord) return {};
  const std::string folded = Folded(word);
  std::string_view best;
  size_t best_distance = std::max<size_t>(folded.size() / 3, 1) + 1;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > kMaxWord) continue;
    const size_t distance = Distance(folded, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string DidYouMean(std::string_view word, std::span<const std::string_view> candidates,
                       std::string_view otherwise) {
  const std::string_view near = Nearest(word, candidates);
  if (near.empty()) return std::string(otherwise);
  return "; did you mean `" + std::string(near) + "`?";
}

}  // namespace krux::policy
