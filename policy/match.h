// Scopes: which paths, commands and capability names a policy covers, and which line of which file
// says so. Pure; links with libc alone, so that the worker matches with the very same code.
//
//   Pattern tree = KRUX_TRY(CompilePath("${WORK}/**", "read_only:12 paths.read"));
//   Scope scope{{Clause{false, {tree}, "read_only:12 paths.read"}}};
//   scope = ForWork(scope, "/home/ann/project");
//   Membership in = CheckPath(scope, "/home/ann/project/README.md");   // in.inside, in.rule
//
// A pattern is a sequence of parts: the components of a path, the words of a command, or one
// capability name. `**` as a whole part stands for any number of parts, also none: "/a/**" covers
// /a and all beneath. Within a part, `*` is any run of characters, `?` one character, and `\` takes
// the next character as it is. `[` and `{` are refused: they look like syntax of other tools, and a
// pattern that means less than it seems to is no policy.
//
// Matching costs at most |pattern| × |subject| steps; nothing backtracks past the last `*` or `**`.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace krux::policy {

inline constexpr size_t kMaxPatternBytes = 1024;

struct Pattern {
  std::vector<std::string> parts;
  bool in_work = false;  // starts with ${WORK}; covers nothing until ForWork
  std::string text;      // as written in the file
  std::string rule;      // "read_only:12 paths.read"
};

// One file's say on one scope: what it allows, without what it denies.
struct Clause {
  bool any = false;            // written out as "any" in the file
  std::vector<Pattern> allow;  // empty and not any: nothing
  std::string rule;            // the line of the key, or why it is missing
  std::vector<Pattern> deny = {};
};

// INVARIANT: a subject is inside a scope if every clause covers it, and a scope without a clause
// covers nothing. Meet is append, so it can only shrink what is covered.
struct Scope {
  std::vector<Clause> clauses;
};
Scope Meet(const Scope& a, const Scope& b);

// Absolute pattern, or one that starts with `${WORK}` or `**/`. Code kConfig when malformed.
Result<Pattern> CompilePath(std::string_view text, std::string_view rule);
// Words of a command: {"pytest", "**"}.
Result<Pattern> CompileArgv(std::span<const std::string> words, std::string_view rule);
// A capability name: "fs.*".
Result<Pattern> CompileName(std::string_view text, std::string_view rule);

// The scope with ${WORK} replaced by `work`, a canonical path taken literally.
Scope ForWork(const Scope& scope, std::string_view work);
std::vector<Pattern> ForWork(std::vector<Pattern> patterns, std::string_view work);

struct Membership {
  bool inside = false;
  std::string rule;  // inside: the pattern that covers it; outside: the clause that does not
};
Membership CheckPath(const Scope& scope, std::string_view canonical_path);
Membership CheckArgv(const Scope& scope, std::span<const std::string> argv);
Membership CheckName(const Scope& scope, std::string_view name);
// The first pattern that covers the path, null if none does. What is not canonical is covered by
// every pattern: such lists take away.
const Pattern* FirstMatch(std::span<const Pattern> patterns, std::string_view canonical_path);

// Does `wide` cover all that `narrow` covers? Sound, and complete enough for people: a wildcard of
// `narrow` must stand where `wide` has one that takes it whole.
bool Subsumes(const Pattern& wide, const Pattern& narrow);
// The first pattern of `narrow` that no pattern of `wide` covers whole; null if all are covered.
const Pattern* FirstOutside(const Clause& wide, const Clause& narrow);

// Does one part match one text? Exposed for the differential test.
bool MatchPart(std::string_view part, std::string_view text);
// Do the parts match the whole subject?
bool MatchParts(std::span<const std::string> parts, std::span<const std::string_view> subject);

// The tree a path pattern covers in whole ("/a/b" for "/a/b/**"), if it is of that form and bound
// to a WORK. Only trees can be granted to programs: a kernel rule knows no `*`.
std::optional<std::string> TreeOf(const Pattern& pattern);
// Every tree that all clauses cover, without those inside another; "/" for any. A tree that a deny
// pattern may reach into is none: no kernel rule says "all but".
std::vector<std::string> Trees(const Scope& scope);

}  // namespace krux::policy
