// policy/match against the reference: every pattern and every subject up to a small size, and many
// drawn from a seed that is printed (KRUX_SEED=n draws others).
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <random>

#include "policy/match.h"
#include "policy/match_net.h"
#include "tests/policy/reference_matcher.h"

namespace krux::policy {
namespace {

using reference::Matches;
using reference::PathPattern;
using reference::Regex;

unsigned Seed() {
  const char* set = std::getenv("KRUX_SEED");
  const unsigned seed =
      set != nullptr ? static_cast<unsigned>(std::strtoul(set, nullptr, 10)) : 20u;
  std::printf("seed %u\n", seed);
  return seed;
}

Scope One(const Pattern& pattern) { return Scope{{Clause{false, {pattern}, "r"}}}; }

// All sequences over `letters` of at most `most` letters.
std::vector<std::string> AllTexts(const std::vector<std::string>& letters, size_t most) {
  std::vector<std::string> all = {""}, last = {""};
  for (size_t length = 1; length <= most; ++length) {
    std::vector<std::string> next;
    for (const std::string& text : last)
      for (const std::string& letter : letters) next.push_back(text + letter);
    all.insert(all.end(), next.begin(), next.end());
    last = std::move(next);
  }
  return all;
}

TEST(MatchReference, AgreesOnEverySmallPath) {
  const std::vector<std::string> patterns = AllTexts({"/", "a", "b", "*", "?", "**", "\\*"}, 5);
  const std::vector<std::string> subjects = AllTexts({"/", "a", "b", "*"}, 5);
  std::vector<std::string> canonical;  // what CheckPath is given: `/`, or components behind one `/`
  for (const std::string& text : subjects) {
    const bool fine = text == "/" || (text.starts_with('/') && !text.ends_with('/') &&
                                      text.find("//") == text.npos);
    if (fine) canonical.push_back(text);
  }
  size_t compared = 0, inside = 0;
  for (const std::string& text : patterns) {
    const Result<Pattern> pattern = CompilePath(text, "r");
    if (!pattern) continue;
    const Scope scope = One(*pattern);
    const Regex regex = PathPattern(text);
    for (const std::string& subject : canonical) {
      const bool expected = Matches(regex, subject == "/" ? "" : subject);
      ASSERT_EQ(CheckPath(scope, subject).inside, expected) << text << " against " << subject;
      ++compared;
      inside += expected;
    }
  }
  std::printf("%zu comparisons, %zu of them inside\n", compared, inside);
  EXPECT_GT(compared, 100'000u);
  EXPECT_GT(inside, 5'000u);
}

std::string Draw(std::mt19937& random, const std::vector<std::string>& from, size_t most) {
  std::string text;
  for (size_t n = random() % most + 1; n > 0; --n) text += from[random() % from.size()];
  return text;
}

TEST(MatchReference, AgreesOnDrawnPathsAndScopes) {
  std::mt19937 random(Seed());
  const std::vector<std::string> pattern_parts = {"/a", "/b",   "/*",    "/**", "/a*", "/*b",
                                                  "/?", "/\\*", "/a?b*", "/**", "/.*"};
  const std::vector<std::string> subject_parts = {"/a", "/b", "/ab", "/aab", "/axb", "/*", "/.a"};
  size_t inside = 0;
  for (int round = 0; round < 20'000; ++round) {
    // Two clauses, each with patterns it allows and denies.
    Scope scope;
    std::vector<std::pair<std::vector<Regex>, std::vector<Regex>>> clauses(random() % 2 + 1);
    for (auto& [allow, deny] : clauses) {
      Clause clause{false, {}, "r"};
      for (size_t n = random() % 3; n > 0; --n) {
        const std::string text = Draw(random, pattern_parts, 4);
        clause.allow.push_back(*CompilePath(text, "r"));
        allow.push_back(PathPattern(text));
      }
      for (size_t n = random() % 2; n > 0; --n) {
        const std::string text = Draw(random, pattern_parts, 4);
        clause.deny.push_back(*CompilePath(text, "r"));
        deny.push_back(PathPattern(text));
      }
      scope.clauses.push_back(std::move(clause));
    }
    const std::string subject = Draw(random, subject_parts, 5);
    const auto any = [&](const std::vector<Regex>& patterns) {
      for (const Regex& pattern : patterns)
        if (Matches(pattern, subject)) return true;
      return false;
    };
    bool expected = true;
    for (const auto& [allow, deny] : clauses) expected &= any(allow) && !any(deny);
    ASSERT_EQ(CheckPath(scope, subject).inside, expected) << "round " << round << " " << subject;
    inside += expected;
  }
  EXPECT_GT(inside, 500u);
}

TEST(MatchReference, AgreesOnCommandsAndNames) {
  std::mt19937 random(Seed());
  const std::vector<std::string> words = {"**", "a", "b*", "*", "?", "-x"};
  const std::vector<std::string> given = {"a", "b", "bb", "-x", "c"};
  size_t inside = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::vector<std::string> pattern, argv;
    for (size_t n = random() % 4 + 1; n > 0; --n) pattern.push_back(words[random() % words.size()]);
    for (size_t n = random() % 5; n > 0; --n) argv.push_back(given[random() % given.size()]);
    std::string joined;
    for (const std::string& word : argv) joined += "/" + word;
    const bool expected = Matches(reference::Parts(pattern), joined);
    ASSERT_EQ(CheckArgv(One(*CompileArgv(pattern, "r")), argv).inside, expected)
        << testing::PrintToString(pattern) << " against " << testing::PrintToString(argv);
    inside += expected;
    const std::string name = Draw(random, {"fs", ".", "read", "r", "*"}, 4);
    const std::string subject = Draw(random, {"fs", ".", "read", "r"}, 4);
    if (const Result<Pattern> compiled = CompileName(name, "r"); compiled && name != "**") {
      ASSERT_EQ(CheckName(One(*compiled), subject).inside, Matches(reference::Part(name), subject))
          << name << " against " << subject;
    }
  }
  EXPECT_GT(inside, 2'000u);
}

TEST(MatchReference, AgreesOnEverySmallHost) {
  const std::vector<std::string> labels = AllTexts({"a", "b", ".", "A"}, 4);
  std::vector<std::string> patterns;
  for (const std::string& text : labels)
    for (const char* form : {"", "*."})
      for (const char* port : {":443", ":80", ":*"}) patterns.push_back(form + text + port);
  size_t compared = 0, inside = 0;
  for (const std::string& text : patterns) {
    const Result<Pattern> pattern = CompileHost(text, "r");
    if (!pattern) continue;
    const Scope scope = One(*pattern);
    for (const std::string& host : labels) {
      const bool name =
          !host.empty() && host != "." && !host.starts_with('.') && host.find("..") == host.npos;
      const bool expected = name && reference::HostMatches(text, host, 443);
      ASSERT_EQ(CheckHost(scope, host, 443).inside, expected) << text << " against " << host;
      ++compared;
      inside += expected;
    }
  }
  std::printf("%zu comparisons, %zu of them inside\n", compared, inside);
  EXPECT_GT(inside, 1'000u);
}

// INVARIANT: Subsumes never says yes where some subject tells the two apart. How often it says no
// although no small subject does is printed: people are refused what may be harmless then.
TEST(MatchReference, SubsumptionIsSound) {
  const std::vector<std::string> patterns = AllTexts({"/", "a", "*", "?", "**"}, 5);
  const std::vector<std::string> texts = AllTexts({"/", "a", "b"}, 7);
  std::vector<std::string> subjects;
  for (const std::string& text : texts) {
    if (text.starts_with('/') && !text.ends_with('/') && text.find("//") == text.npos)
      subjects.push_back(text);
  }
  std::vector<Pattern> compiled;
  for (const std::string& text : patterns)
    if (Result<Pattern> pattern = CompilePath(text, "r")) compiled.push_back(*pattern);
  std::vector<std::vector<bool>> covers(compiled.size());
  for (size_t i = 0; i < compiled.size(); ++i) {
    const Scope scope = One(compiled[i]);
    for (const std::string& subject : subjects)
      covers[i].push_back(CheckPath(scope, subject).inside);
  }
  size_t yes = 0, missed = 0;
  for (size_t wide = 0; wide < compiled.size(); ++wide) {
    for (size_t narrow = 0; narrow < compiled.size(); ++narrow) {
      bool within = true;
      for (size_t s = 0; s < subjects.size() && within; ++s)
        within = !covers[narrow][s] || covers[wide][s];
      const bool said = Subsumes(compiled[wide], compiled[narrow]);
      ASSERT_TRUE(within || !said)
          << compiled[wide].text << " is not all of " << compiled[narrow].text;
      yes += said;
      missed += within && !said;
    }
  }
  std::printf("%zu patterns, %zu pairs subsumed, %zu missed\n", compiled.size(), yes, missed);
  EXPECT_GT(yes, 1'000u);
}

TEST(MatchReference, WorkIsSubsumedLikeAnUnknownDirectory) {
  const auto pattern = [](const char* text) { return *CompilePath(text, "r"); };
  EXPECT_TRUE(Subsumes(pattern("${WORK}/**"), pattern("${WORK}/docs/**")));
  EXPECT_TRUE(Subsumes(pattern("/**"), pattern("${WORK}/docs/**")));
  EXPECT_TRUE(Subsumes(pattern("**/*.md"), pattern("${WORK}/a/b.md")));
  EXPECT_FALSE(Subsumes(pattern("${WORK}/**"), pattern("/home/ann/project/**")));
  EXPECT_FALSE(Subsumes(pattern("/*/**"), pattern("${WORK}/**"))) << "WORK may be `/`";
  EXPECT_FALSE(Subsumes(pattern("${WORK}/docs/**"), pattern("${WORK}/**")));
}

// Glob bombs: the cost is bounded by the sizes, not by what could be tried.
TEST(MatchReference, TheWorstScopesOfAFileAreStillCheap) {
  std::string part = "/";
  for (int i = 0; i < 300; ++i) part += "*a";
  part += "*b";
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "/**/a*a*a";
  Clause clause{false, {}, "r"};
  for (int i = 0; i < 1024; ++i) {
    clause.allow.push_back(*CompilePath(i % 2 == 0 ? part : deep, "r"));
    clause.deny.push_back(*CompilePath(i % 2 == 0 ? deep : part, "r"));
  }
  const Scope scope{{clause, clause}};
  std::string subject;
  for (int i = 0; i < 16; ++i) subject += "/" + std::string(250, 'a');
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(CheckPath(scope, subject).inside);
  EXPECT_FALSE(CheckPath(scope, "/" + std::string(4000, 'a')).inside);
  EXPECT_EQ(Trees(scope).size(), 0u);
  EXPECT_NE(FirstOutside(clause, Clause{false, {*CompilePath("/z", "r")}, "r"}), nullptr);
  // Seconds here would be years there.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace krux::policy
