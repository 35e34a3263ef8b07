#include "policy/match.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

namespace krux::policy {
namespace {

Scope PathsOf(std::vector<std::string> patterns, std::string_view work = "/w") {
  Clause clause{false, {}, "team:1 paths.read"};
  for (size_t i = 0; i < patterns.size(); ++i) {
    Result<Pattern> pattern =
        CompilePath(patterns[i], "team:" + std::to_string(i + 2) + " paths.read");
    EXPECT_TRUE(pattern) << patterns[i] << ": " << pattern.error().message;
    if (pattern) clause.allow.push_back(std::move(*pattern));
  }
  return ForWork(Scope{{clause}}, work);
}

bool Inside(const std::string& pattern, std::string_view path, std::string_view work = "/w") {
  return CheckPath(PathsOf({pattern}, work), path).inside;
}

TEST(MatchTest, WildcardsOfPaths) {
  EXPECT_TRUE(Inside("/a/*", "/a/b"));
  EXPECT_FALSE(Inside("/a/*", "/a/b/c")) << "`*` stays within one component";
  EXPECT_FALSE(Inside("/a/*", "/a"));
  EXPECT_TRUE(Inside("/a/**", "/a"));
  EXPECT_TRUE(Inside("/a/**", "/a/b/c"));
  EXPECT_FALSE(Inside("/a/**", "/ab"));
  EXPECT_TRUE(Inside("/a/**/z", "/a/z"));
  EXPECT_TRUE(Inside("/a/**/z", "/a/b/c/z"));
  EXPECT_FALSE(Inside("/a/**/z", "/a/b/z/c"));
  EXPECT_TRUE(Inside("**/.env", "/a/b/.env"));
  EXPECT_TRUE(Inside("**/.env", "/.env"));
  EXPECT_TRUE(Inside("/a/*.md", "/a/x.md"));
  EXPECT_TRUE(Inside("/a/*.md", "/a/.md"));
  EXPECT_FALSE(Inside("/a/*.md", "/a/x.mdx"));
  EXPECT_TRUE(Inside("/a/?", "/a/b"));
  EXPECT_TRUE(Inside("/a/?", "/a/é")) << "one character, not one byte";
  EXPECT_FALSE(Inside("/a/?", "/a/bc"));
  EXPECT_TRUE(Inside("/a/\\*", "/a/*"));
  EXPECT_FALSE(Inside("/a/\\*", "/a/b"));
  EXPECT_TRUE(Inside("/**", "/"));
  EXPECT_FALSE(Inside("/a", "/A")) << "case counts";
}

TEST(MatchTest, AnEmptyListAndNoClauseMeanNothing) {
  EXPECT_FALSE(CheckPath(PathsOf({}), "/w/a").inside);
  EXPECT_FALSE(CheckPath(Scope{}, "/w/a").inside);
  EXPECT_FALSE(CheckName(Scope{}, "fs.read").inside);
  EXPECT_FALSE(CheckArgv(Scope{}, std::vector<std::string>{"id"}).inside);
  EXPECT_TRUE(CheckPath(Scope{{Clause{true, {}, "team:1"}}}, "/etc/shadow").inside)
      << "any, written out";
}

TEST(MatchTest, MembershipNamesTheDecidingRule) {
  const Scope scope = PathsOf({"/a/**", "${WORK}/**"});
  EXPECT_EQ(CheckPath(scope, "/w/x").rule, "team:3 paths.read");
  EXPECT_EQ(CheckPath(scope, "/a").rule, "team:2 paths.read");
  EXPECT_EQ(CheckPath(scope, "/etc").rule, "team:1 paths.read");
}

TEST(MatchTest, WorkIsTakenLiterally) {
  EXPECT_TRUE(Inside("${WORK}/**", "/w*/x", "/w*"));
  EXPECT_FALSE(Inside("${WORK}/**", "/wall/x", "/w*"))
      << "a `*` in the name of WORK is no wildcard";
  EXPECT_TRUE(Inside("${WORK}/**", "/a[b]{c}\\/x", "/a[b]{c}\\"));
  EXPECT_TRUE(Inside("${WORK}", "/w"));
  EXPECT_FALSE(Inside("${WORK}", "/w/x"));
  EXPECT_TRUE(Inside("${WORK}/**", "/x", "/"));
  // Before a session exists, ${WORK} covers nothing, least of all a directory of that name.
  const Scope unbound{{Clause{false, {*CompilePath("${WORK}/**", "r")}, "r"}}};
  EXPECT_FALSE(CheckPath(unbound, "/w/x").inside);
  EXPECT_FALSE(CheckPath(unbound, "/${WORK}/x").inside);
  EXPECT_FALSE(CheckPath(unbound, "/x").inside);
  EXPECT_TRUE(Trees(unbound).empty());
}

TEST(MatchTest, MeetIsTheIntersection) {
  const Scope a = PathsOf({"/a/**", "/b/**"}), b = PathsOf({"/b/**", "/c/**"});
  for (const char* path : {"/a/x", "/b/x", "/c/x", "/d"}) {
    EXPECT_EQ(CheckPath(Meet(a, b), path).inside,
              CheckPath(a, path).inside && CheckPath(b, path).inside)
        << path;
  }
  EXPECT_FALSE(CheckPath(Meet(a, Scope{}), "/a/x").inside);
  EXPECT_FALSE(CheckPath(Meet(Scope{}, a), "/a/x").inside);
}

TEST(MatchTest, RefusesPatternsThatSeemToMeanMore) {
  for (const char* bad : {"",
                          "a/**",
                          "./a",
                          "~/a",
                          "/a/../b",
                          "/a/./b",
                          "/a//b",
                          "/a/",
                          "/a/b**",
                          "/a/[bc]",
                          "/a/{b,c}",
                          "/a\\",
                          "${HOME}/**",
                          "/${WORK}/x",
                          "${WORK}x",
                          "${WORK}/${WORK}",
                          "${WORK}/../x",
                          "${WORK}**",
                          "${WORK}/",
                          "/a/\xff",
                          "$WORK/**"}) {
    const Result<Pattern> pattern = CompilePath(bad, "r");
    ASSERT_FALSE(pattern) << bad;
    EXPECT_EQ(pattern.error().code, ExitCode::kConfig);
    EXPECT_NE(pattern.error().message.find("`"), std::string::npos);
  }
  EXPECT_FALSE(CompilePath(std::string("/a\0b", 4), "r"));
  EXPECT_FALSE(CompilePath("/" + std::string(2000, 'a'), "r"));
  EXPECT_FALSE(CompileName("", "r"));
  EXPECT_FALSE(CompileArgv(std::vector<std::string>{}, "r"));
  EXPECT_FALSE(CompileArgv(std::vector<std::string>{"a**"}, "r"));
}

Scope ArgvOf(std::vector<std::vector<std::string>> patterns) {
  Clause clause{false, {}, "team:1 exec.allow"};
  for (const auto& words : patterns)
    clause.allow.push_back(*CompileArgv(words, "team:2 exec.allow"));
  return Scope{{clause}};
}

bool Runs(const Scope& scope, std::vector<std::string> argv) {
  return CheckArgv(scope, argv).inside;
}

TEST(MatchTest, Commands) {
  const Scope any = ArgvOf({{"**"}});
  EXPECT_TRUE(Runs(any, {"id"}));
  EXPECT_TRUE(Runs(any, {"rm", "-rf", "/"}));
  const Scope some = ArgvOf({{"pytest", "**"}, {"make", "test"}, {"cat", "*.md"}});
  EXPECT_TRUE(Runs(some, {"pytest"}));
  EXPECT_TRUE(Runs(some, {"pytest", "-x", "a/b"}));
  EXPECT_FALSE(Runs(some, {"pytest2"}));
  EXPECT_FALSE(Runs(some, {"./pytest"}))
      << "the name as given, so that PATH alone decides what it is";
  EXPECT_TRUE(Runs(some, {"make", "test"}));
  EXPECT_FALSE(Runs(some, {"make", "test", "all"}));
  EXPECT_FALSE(Runs(some, {"make"}));
  EXPECT_TRUE(Runs(some, {"cat", "docs/a.md"})) << "a word is no path: `*` crosses `/`";
  EXPECT_FALSE(Runs(some, {"sh", "-c", "pytest"}));
  EXPECT_TRUE(Runs(ArgvOf({{"echo", ""}}), {"echo", ""}));
}

TEST(MatchTest, Names) {
  const Scope scope{{Clause{false, {*CompileName("fs.*", "r")}, "c"}}};
  EXPECT_TRUE(CheckName(scope, "fs.read").inside);
  EXPECT_FALSE(CheckName(scope, "fsx.read").inside);
  EXPECT_FALSE(CheckName(scope, "proc.exec").inside);
}

TEST(MatchTest, TreesAreWhatEveryClauseCoversWhole) {
  EXPECT_EQ(Trees(PathsOf({"${WORK}/**"})), std::vector<std::string>{"/w"});
  EXPECT_EQ(Trees(PathsOf({"/b/**", "/a/**", "/a/c/**"})), (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(Trees(PathsOf({"/a/*.md", "/a/*/**", "/a"})), std::vector<std::string>{})
      << "no kernel rule says these";
  EXPECT_EQ(Trees(PathsOf({"/a\\*b/**"})), std::vector<std::string>{"/a*b"});
  EXPECT_EQ(Trees(PathsOf({"/**"})), std::vector<std::string>{"/"});
  EXPECT_EQ(Trees(Meet(PathsOf({"/a/**"}), PathsOf({"/a/b/**", "/c/**"}))),
            std::vector<std::string>{"/a/b"});
  EXPECT_EQ(Trees(Meet(Scope{{Clause{true, {}, ""}}}, PathsOf({"/a/**"}))),
            std::vector<std::string>{"/a"});
  EXPECT_TRUE(Trees(Scope{}).empty());
}

// The same language, written as its definition: what `*` and `**` stand for is tried out in full.
size_t OneCharacter(std::string_view text) {
  size_t size = 1;
  if (static_cast<unsigned char>(text[0]) < 0xC0) return size;
  while (size < 4 && size < text.size() && (text[size] & 0xC0) == 0x80) ++size;
  return size;
}

bool SlowPart(std::string_view part, std::string_view text) {
  if (part.empty()) return text.empty();
  if (part[0] == '*') {
    return SlowPart(part.substr(1), text) ||
           (!text.empty() && SlowPart(part, text.substr(OneCharacter(text))));
  }
  if (text.empty()) return false;
  if (part[0] == '?') return SlowPart(part.substr(1), text.substr(OneCharacter(text)));
  if (part[0] == '\\') part.remove_prefix(1);
  return part[0] == text[0] && SlowPart(part.substr(1), text.substr(1));
}

bool SlowParts(std::span<const std::string> parts, std::span<const std::string_view> subject) {
  if (parts.empty()) return subject.empty();
  if (parts[0] == "**") {
    return SlowParts(parts.subspan(1), subject) ||
           (!subject.empty() && SlowParts(parts, subject.subspan(1)));
  }
  return !subject.empty() && SlowPart(parts[0], subject[0]) &&
         SlowParts(parts.subspan(1), subject.subspan(1));
}

std::string Pick(std::mt19937& random, std::span<const std::string_view> from, size_t most) {
  std::string text;
  for (size_t n = random() % (most + 1); n > 0; --n) text += from[random() % from.size()];
  return text;
}

TEST(MatchTest, EqualsTheReference) {
  static constexpr std::string_view kPattern[] = {"a", "b", "*", "?", "\\*", "é", "*", "\\?"};
  static constexpr std::string_view kText[] = {"a", "b", "*", "é", "?", "ab", "\xa9", "\xc3"};
  std::mt19937 random(3);
  int matched = 0;
  for (int i = 0; i < 300'000; ++i) {
    const std::string part = Pick(random, kPattern, 6), text = Pick(random, kText, 8);
    const bool expected = SlowPart(part, text);
    matched += expected;
    ASSERT_EQ(MatchPart(part, text), expected)
        << testing::PrintToString(part) << " against " << testing::PrintToString(text);
  }
  EXPECT_GT(matched, 10'000) << "the generator must produce both answers";
}

TEST(MatchTest, SequencesEqualTheReference) {
  static constexpr std::string_view kPart[] = {"**", "a", "b", "*", "a*", "?", "**"};
  static constexpr std::string_view kName[] = {"a", "b", "ab", "c"};
  std::mt19937 random(5);
  int matched = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::vector<std::string> parts;
    std::vector<std::string_view> subject;
    for (size_t n = random() % 7; n > 0; --n)
      parts.emplace_back(kPart[random() % std::size(kPart)]);
    for (size_t n = random() % 8; n > 0; --n) subject.push_back(kName[random() % std::size(kName)]);
    const bool expected = SlowParts(parts, subject);
    matched += expected;
    ASSERT_EQ(MatchParts(parts, subject), expected)
        << testing::PrintToString(parts) << " against " << testing::PrintToString(subject);
  }
  EXPECT_GT(matched, 10'000);
}

TEST(MatchTest, TheWorstPatternIsStillCheap) {
  std::string part, text(4000, 'a');
  for (int i = 0; i < 500; ++i) part += "*a";
  part += "*b";
  std::vector<std::string> parts;
  for (int i = 0; i < 250; ++i) parts.insert(parts.end(), {"**", "a"});
  parts.push_back("b");
  const std::vector<std::string_view> subject(2000, "a");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(MatchPart(part, text));
  EXPECT_FALSE(MatchParts(parts, subject));
  // Backtracking would take longer than the universe has; sanitizers slow this by ten.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

}  // namespace
}  // namespace krux::policy
