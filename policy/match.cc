#include "policy/match.h"

#include <algorithm>
#include <iterator>
#include <ranges>

#include "base/path.h"

namespace krux::policy {
namespace {

constexpr std::string_view kManyParts = "**";
constexpr std::string_view kWork = "${WORK}";

// The bytes of the character at text[0]: a lead byte and at most three continuation bytes. Total on
// bytes that are not UTF-8 (names found on disk): a stray byte is a character of its own.
size_t CharacterSize(std::string_view text) {
  if (static_cast<unsigned char>(text[0]) < 0xC0) return 1;
  size_t size = 1;
  while (size < 4 && size < text.size() &&
         (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) {
    ++size;
  }
  return size;
}

std::unexpected<Error> BadPattern(std::string_view text, std::string_view why) {
  std::string message = "pattern `";
  message.append(text).append("` ").append(why);
  return Fail(ExitCode::kConfig, "policy", std::move(message));
}

// Why `part` is no pattern, or empty.
std::string_view WrongInPart(std::string_view part) {
  if (part == kManyParts) return "";
  for (size_t i = 0; i < part.size(); ++i) {
    const char c = part[i];
    if (c == '\\') {
      if (++i == part.size()) return "ends in `\\`; write `\\\\` for a backslash";
    } else if (c == '[' || c == '{') {
      return "uses `[` or `{`, which are no wildcards here; write `\\[` or `\\{` for the character";
    } else if (c == '*' && i + 1 < part.size() && part[i + 1] == '*') {
      return "has `**` within a part; `**` stands alone, as in `/a/**/b`";
    }
  }
  return "";
}

std::string_view WrongInText(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.size() > kMaxPatternBytes) return "is longer than 1024 bytes";
  if (text.find('\0') != std::string_view::npos) return "holds a NUL byte";
  if (!krux_path_is_utf8(text.data(), text.size())) return "is not UTF-8";
  return "";
}

// Two neighbours `**` mean what one means.
void AddPart(Pattern& pattern, std::string_view part) {
  if (part == kManyParts && !pattern.parts.empty() && pattern.parts.back() == kManyParts) return;
  pattern.parts.emplace_back(part);
}

std::string Literal(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (std::string_view("*?\\[{").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// The text that `part` matches if it is only one.
std::optional<std::string> OnlyText(std::string_view part) {
  std::string text;
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] == '*' || part[i] == '?') return std::nullopt;
    if (part[i] == '\\') ++i;
    text += part[i];
  }
  return text;
}

std::vector<std::string_view> Components(std::string_view path) {
  std::vector<std::string_view> components;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (end > at) components.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return components;
}

bool Covers(const Pattern& pattern, std::span<const std::string_view> subject) {
  return !pattern.in_work && MatchParts(pattern.parts, subject);
}

// From the last clause to the first: a meet puts the policy behind its ceiling, and the rule that
// people are told should be the one of the policy they named.
Membership Check(const Scope& scope, std::span<const std::string_view> subject) {
  Membership result{!scope.clauses.empty(), ""};
  for (const Clause& clause : std::views::reverse(scope.clauses)) {
    const auto covers = [&](const Pattern& pattern) { return Covers(pattern, subject); };
    if (const auto denied = std::ranges::find_if(clause.deny, covers); denied != clause.deny.end())
      return {false, denied->rule};
    std::string_view rule = clause.rule;
    if (!clause.any) {
      const auto found = std::ranges::find_if(clause.allow, covers);
      if (found == clause.allow.end()) return {false, clause.rule};
      rule = found->rule;
    }
    if (result.rule.empty()) result.rule = rule;
  }
  return result;
}

bool Within(std::string_view tree, std::string_view path) {
  return krux_path_within(tree.data(), tree.size(), path.data(), path.size());
}

// The same line of the same file: policies that share a parent meet it twice.
bool Same(const Clause& a, const Clause& b) {
  const auto same = [](const Pattern& x, const Pattern& y) {
    return x.in_work == y.in_work && x.parts == y.parts && x.rule == y.rule;
  };
  return a.any == b.any && a.rule == b.rule && std::ranges::equal(a.allow, b.allow, same) &&
         std::ranges::equal(a.deny, b.deny, same);
}

void BindWork(std::vector<Pattern>& patterns, std::string_view work) {
  for (Pattern& pattern : patterns) {
    if (!pattern.in_work) continue;
    std::vector<std::string> parts;
    for (const std::string_view component : Components(work)) parts.push_back(Literal(component));
    std::ranges::copy(pattern.parts, std::back_inserter(parts));
    pattern.parts = std::move(parts);
    pattern.in_work = false;
  }
}

// Could the pattern cover something in the tree? The states of the pattern after each component of
// the tree; what is left of it can always be matched by some name.
bool ReachesInto(const Pattern& pattern, std::string_view tree) {
  if (pattern.in_work) return true;
  std::vector<bool> live(pattern.parts.size() + 1);
  live[0] = true;
  const auto pass_many = [&] {
    for (size_t i = 0; i < pattern.parts.size(); ++i)
      if (live[i] && pattern.parts[i] == kManyParts) live[i + 1] = true;
  };
  pass_many();
  for (const std::string_view component : Components(tree)) {
    std::vector<bool> next(live.size());
    for (size_t i = 0; i < pattern.parts.size(); ++i) {
      if (!live[i]) continue;
      if (pattern.parts[i] == kManyParts) {
        next[i] = true;
      } else if (MatchPart(pattern.parts[i], component)) {
        next[i + 1] = true;
      }
    }
    live = std::move(next);
    pass_many();
  }
  return std::ranges::find(live, true) != live.end();
}

}  // namespace

Scope Meet(const Scope& a, const Scope& b) {
  // A side without a clause covers nothing; appending alone would forget it.
  if (a.clauses.empty()) return a;
  if (b.clauses.empty()) return b;
  Scope both;
  for (const Clause& clause : a.clauses) {
    const auto same = [&](const Clause& other) { return Same(clause, other); };
    if (std::ranges::none_of(b.clauses, same)) both.clauses.push_back(clause);
  }
  std::ranges::copy(b.clauses, std::back_inserter(both.clauses));
  return both;
}

Result<Pattern> CompilePath(std::string_view text, std::string_view rule) {
  if (const std::string_view wrong = WrongInText(text); !wrong.empty())
    return BadPattern(text, wrong);
  Pattern pattern{{}, false, std::string(text), std::string(rule)};
  std::string_view rest = text;
  if (rest.starts_with(kWork)) {
    pattern.in_work = true;
    rest.remove_prefix(kWork.size());
    if (rest.empty()) return pattern;
  }
  if (rest.find("${") != std::string_view::npos) {
    return BadPattern(text, "has a `${…}` other than `${WORK}` at its start");
  }
  if (rest != kManyParts && !rest.starts_with("**/")) {
    if (rest[0] != '/') {
      return BadPattern(text, "is not absolute; start it with `/`, `${WORK}/` or `**/`");
    }
    rest.remove_prefix(1);
    if (rest.empty() && pattern.in_work)
      return BadPattern(text, "ends in `/`; write `/**` for all beneath");
  } else if (pattern.in_work) {
    return BadPattern(text, "needs a `/` after `${WORK}`");
  }
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, end);
    if (part.empty() || part == "." || part == "..") {
      return BadPattern(text, "has an empty, `.` or `..` component; write the path without it");
    }
    if (const std::string_view wrong = WrongInPart(part); !wrong.empty())
      return BadPattern(text, wrong);
    AddPart(pattern, part);
    if (end + 1 == rest.size()) return BadPattern(text, "ends in `/`; write `/**` for all beneath");
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return pattern;
}

Result<Pattern> CompileArgv(std::span<const std::string> words, std::string_view rule) {
  Pattern pattern{{}, false, "", std::string(rule)};
  for (const std::string& word : words) {
    pattern.text += (pattern.text.empty() ? "" : " ") + word;
    // An empty word is a legal argument, so it is a legal part.
    std::string_view wrong = word.empty() ? "" : WrongInText(word);
    if (wrong.empty()) wrong = WrongInPart(word);
    if (!wrong.empty()) return BadPattern(word, wrong);
    AddPart(pattern, word);
  }
  if (pattern.parts.empty()) return BadPattern("[]", "is empty; write [\"**\"] for any command");
  return pattern;
}

Result<Pattern> CompileName(std::string_view text, std::string_view rule) {
  std::string_view wrong = WrongInText(text);
  if (wrong.empty()) wrong = WrongInPart(text);
  if (!wrong.empty()) return BadPattern(text, wrong);
  return Pattern{{std::string(text)}, false, std::string(text), std::string(rule)};
}

Scope ForWork(const Scope& scope, std::string_view work) {
  Scope bound = scope;
  for (Clause& clause : bound.clauses) {
    BindWork(clause.allow, work);
    BindWork(clause.deny, work);
  }
  return bound;
}

std::vector<Pattern> ForWork(std::vector<Pattern> patterns, std::string_view work) {
  BindWork(patterns, work);
  return patterns;
}

Membership CheckPath(const Scope& scope, std::string_view canonical_path) {
  // INVARIANT: what is not canonical is inside nothing; `..` must never be compared by spelling.
  if (!canonical_path.starts_with('/')) return {false, "path is not absolute"};
  return Check(scope, Components(canonical_path));
}

Membership CheckArgv(const Scope& scope, std::span<const std::string> argv) {
  const std::vector<std::string_view> words(argv.begin(), argv.end());
  return Check(scope, words);
}

Membership CheckName(const Scope& scope, std::string_view name) {
  return Check(scope, std::span(&name, 1));
}

const Pattern* FirstMatch(std::span<const Pattern> patterns, std::string_view canonical_path) {
  const bool canonical = canonical_path.starts_with('/');
  const std::vector<std::string_view> components = Components(canonical_path);
  const auto found = std::ranges::find_if(patterns, [&](const Pattern& pattern) {
    return !canonical || pattern.in_work || Covers(pattern, components);
  });
  return found == patterns.end() ? nullptr : &*found;
}

bool MatchPart(std::string_view part, std::string_view text) {
  // Greedy with one resume point. The last `*` is the only one worth giving back to: whatever an
  // earlier `*` took, the later one can take as well.
  size_t p = 0, t = 0;
  size_t star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    const size_t size = CharacterSize(text.substr(t));
    if (p < part.size() && part[p] == '*') {
      star = p++;
      resume = t;
      continue;
    }
    if (p < part.size() && part[p] == '?') {
      ++p;
      t += size;
      continue;
    }
    const size_t literal = p < part.size() && part[p] == '\\' ? p + 1 : p;
    if (literal < part.size() && part[literal] == text[t]) {
      p = literal + 1;
      ++t;
      continue;
    }
    if (star == std::string_view::npos) return false;
    p = star + 1;
    resume += CharacterSize(text.substr(resume));
    t = resume;
  }
  while (p < part.size() && part[p] == '*') ++p;
  return p == part.size();
}

bool MatchParts(std::span<const std::string> parts, std::span<const std::string_view> subject) {
  // The same shape one level up, with `**` in the place of `*`.
  size_t p = 0, s = 0;
  size_t many = std::string_view::npos, resume = 0;
  while (s < subject.size()) {
    if (p < parts.size() && parts[p] == kManyParts) {
      many = p++;
      resume = s;
    } else if (p < parts.size() && MatchPart(parts[p], subject[s])) {
      ++p;
      ++s;
    } else if (many != std::string_view::npos) {
      p = many + 1;
      s = ++resume;
    } else {
      return false;
    }
  }
  while (p < parts.size() && parts[p] == kManyParts) ++p;
  return p == parts.size();
}

std::optional<std::string> TreeOf(const Pattern& pattern) {
  if (pattern.in_work || pattern.parts.empty() || pattern.parts.back() != kManyParts)
    return std::nullopt;
  std::string tree;
  for (const std::string& part : std::span(pattern.parts).first(pattern.parts.size() - 1)) {
    const std::optional<std::string> name = OnlyText(part);
    if (!name) return std::nullopt;
    tree += "/" + *name;
  }
  return tree.empty() ? "/" : tree;
}

std::vector<std::string> Trees(const Scope& scope) {
  if (scope.clauses.empty()) return {};
  std::vector<std::string> trees = {"/"};
  for (const Clause& clause : scope.clauses) {
    if (clause.any) continue;
    std::vector<std::string> both;
    for (const Pattern& pattern : clause.allow) {
      const std::optional<std::string> tree = TreeOf(pattern);
      if (!tree) continue;
      for (const std::string& other : trees) {
        if (Within(other, *tree))
          both.push_back(*tree);
        else if (Within(*tree, other))
          both.push_back(other);
      }
    }
    trees = std::move(both);
  }
  for (const Clause& clause : scope.clauses) {
    for (const Pattern& pattern : clause.deny)
      std::erase_if(trees, [&](const std::string& tree) { return ReachesInto(pattern, tree); });
  }
  std::ranges::sort(trees);
  std::vector<std::string> outermost;  // sorted: a tree comes before everything within it
  for (const std::string& tree : trees) {
    const auto holds = [&](const std::string& outer) { return Within(outer, tree); };
    if (std::ranges::none_of(outermost, holds)) outermost.push_back(tree);
  }
  return outermost;
}

}  // namespace krux::policy
