#include "policy/secret.h"

#include <algorithm>
#include <ranges>

namespace krux::policy {
namespace {

bool Same(const Pattern& a, const Pattern& b) {
  return a.parts == b.parts && a.in_work == b.in_work;
}

void Lower(Pattern& pattern) {
  for (std::string& part : pattern.parts) part = Lowered(part);
}

}  // namespace

std::string Lowered(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lowered;
}

Result<Pattern> CompileSecret(std::string_view text, std::string_view rule) {
  Pattern pattern = KRUX_TRY(CompilePath(text, rule));
  Lower(pattern);
  // What is beneath a match is secret anyway, and without it the last part is a name's own.
  if (!pattern.parts.empty() && pattern.parts.back() == "**") pattern.parts.pop_back();
  return pattern;
}

std::vector<Pattern> SecretsForWork(std::span<const Pattern> secrets, std::string_view work) {
  Scope scope{{Clause{false, {secrets.begin(), secrets.end()}, ""}}};
  std::vector<Pattern> bound = std::move(ForWork(scope, work).clauses[0].allow);
  std::ranges::for_each(bound, Lower);
  return bound;
}

std::vector<Pattern> UniteSecrets(std::span<const Pattern> ceiling,
                                  std::span<const Pattern> named) {
  std::vector<Pattern> both(named.begin(), named.end());
  for (const Pattern& pattern : ceiling) {
    const auto same = [&](const Pattern& other) { return Same(pattern, other); };
    if (std::ranges::none_of(both, same)) both.push_back(pattern);
  }
  return both;
}

const Pattern* SecretTop(std::span<const Pattern> secrets,
                         std::span<const std::string_view> lowered_components) {
  for (const Pattern& pattern : secrets) {
    if (pattern.in_work) continue;
    // Most names are none of a secret, and one look at the last part tells.
    const bool last = pattern.parts.empty()
                          ? lowered_components.empty()
                          : !lowered_components.empty() &&
                                MatchPart(pattern.parts.back(), lowered_components.back());
    if (last && MatchParts(pattern.parts, lowered_components)) return &pattern;
  }
  return nullptr;
}

std::vector<std::string_view> PathComponents(std::string_view path) {
  std::vector<std::string_view> components;
  for (const auto part : std::views::split(path, '/')) {
    if (!part.empty()) components.emplace_back(part.begin(), part.end());
  }
  return components;
}

Membership CheckSecret(std::span<const Pattern> secrets, std::string_view canonical_path) {
  if (!canonical_path.starts_with('/')) return {true, "path is not absolute"};
  const std::string lowered = Lowered(canonical_path);
  const std::vector<std::string_view> components = PathComponents(lowered);
  for (size_t depth = 0; depth <= components.size(); ++depth) {
    const Pattern* top = SecretTop(secrets, std::span(components).first(depth));
    if (top != nullptr) return {true, top->rule};
  }
  return {false, ""};
}

}  // namespace krux::policy
