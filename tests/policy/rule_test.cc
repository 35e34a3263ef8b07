#include "policy/rule.h"

#include <gtest/gtest.h>

#include <random>

namespace krux::policy {
namespace {

bool Holds(const std::string& text, std::vector<RuleArgument> args) {
  const Result<Expression> expression = ParseExpression(text);
  EXPECT_TRUE(expression) << text << ": " << (expression ? "" : expression.error().message);
  return expression && expression->Holds(args);
}

TEST(RuleTest, ExpressionsSayWhatTheyRead) {
  const std::vector<RuleArgument> args = {{"ref", "refs/heads/main"}, {"force", ""}};
  EXPECT_TRUE(Holds("ref == 'refs/heads/main'", args));
  EXPECT_FALSE(Holds("ref != 'refs/heads/main'", args));
  EXPECT_TRUE(Holds("ref like 'refs/*'", args)) << "`*` crosses `/`";
  EXPECT_FALSE(Holds("ref like 'main'", args)) << "the whole text, not a piece of it";
  EXPECT_TRUE(Holds("not ref == 'x'", args));
  EXPECT_TRUE(Holds("ref == 'x' or force == ''", args));
  EXPECT_TRUE(Holds("ref == 'refs/heads/main' or ref == 'x' and force == 'y'", args))
      << "`and` binds tighter";
  EXPECT_FALSE(Holds("(ref == 'refs/heads/main' or ref == 'x') and force == 'y'", args));
  EXPECT_FALSE(Holds("not (ref == 'refs/heads/main' or ref == 'x')", args));
  EXPECT_TRUE(Holds("not not ref=='refs/heads/main'", args));
  EXPECT_TRUE(Holds("other == ''", args)) << "what a call leaves out is the empty text";
  EXPECT_TRUE(Holds("a == 'it''s'", {{"a", "it's"}}));
  EXPECT_TRUE(Holds("a like '\\*'", {{"a", "*"}}));
  EXPECT_FALSE(Holds("a like '\\*'", {{"a", "b"}}));
  EXPECT_TRUE(Holds("notable == 'x'", {{"notable", "x"}})) << "a name may begin like a word";
  EXPECT_TRUE(Expression().Holds({})) << "no test: every call";
}

TEST(RuleTest, WhatIsNoExpressionSaysWhere) {
  std::string deep, many = "a == 'b'";
  for (int i = 0; i < 20; ++i) deep += "(";
  for (int i = 0; i < 64; ++i) many += " or a == 'b'";
  const struct {
    std::string text;
    const char* message;
  } cases[] = {{"", "`if`, character 1: the name of an argument belongs here"},
               {"ref", "`if`, character 4: `==`, `!=` or `like` belongs behind `ref`"},
               {"ref = 'x'", "`if`, character 5"},
               {"ref == x", "`if`, character 8: a text in single quotes belongs here"},
               {"ref == 'x", "`if`, character 8: the text has no closing `'`"},
               {"ref == \"x\"", "`if`, character 8"},
               {"ref == 'x' ref == 'y'", "`if`, character 12: `r` does not go on"},
               {"ref == 'x' and", "`if`, character 15"},
               {"(ref == 'x'", "`if`, character 12: a `)` is missing"},
               {"ref == 'x')", "`if`, character 11"},
               {"and == 'x'", "`if`, character 1"},
               {"ref like '[a]'", "uses `[` or `{`"},
               {"ref like 'a**'", "has `**` within a part"},
               {"ref like '**'", "`**` is written `*` here"},
               {"Ref == 'x'", "`if`, character 1"},
               {deep, "more than 16 levels"},
               {many, "more than 64 comparisons"},
               {std::string(2000, ' '), "longer than 1024 bytes"}};
  for (const auto& one : cases) {
    const Result<Expression> expression = ParseExpression(one.text);
    ASSERT_FALSE(expression) << one.text;
    EXPECT_EQ(expression.error().code, ExitCode::kConfig);
    EXPECT_NE(expression.error().message.find(one.message), std::string::npos)
        << one.text << "\n→ " << expression.error().message;
  }
}

// A second reading: a random tree is written down with every parenthesis, or with none that it can
// do without, and evaluated by itself.
struct Tree {
  int kind = 0;  // 0 comparison, 1 not, 2 and, 3 or
  std::string text;
  bool value = false;
};

Tree Random(std::mt19937& random, int depth) {
  const unsigned kind = depth == 0 ? 0 : random() % 4;
  if (kind == 0) {
    const bool a = random() % 2 != 0, equal = random() % 2 != 0;
    const std::string value = a ? "x" : "y";
    return {0, std::string("arg ") + (equal ? "==" : "!=") + " '" + value + "'", a == equal};
  }
  const auto wrap = [](const Tree& tree, bool must) {
    return must ? "(" + tree.text + ")" : tree.text;
  };
  const Tree left = Random(random, depth - 1);
  if (kind == 1) return {1, "not " + wrap(left, left.kind > 1), !left.value};
  const Tree right = Random(random, depth - 1);
  const bool is_and = kind == 2;
  return {static_cast<int>(kind),
          wrap(left, is_and && left.kind == 3) + (is_and ? " and " : " or ") +
              wrap(right, is_and && right.kind == 3),
          is_and ? left.value && right.value : left.value || right.value};
}

TEST(RuleTest, EqualsItsDefinition) {
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const Tree tree = Random(random, 4);
    if (tree.text.size() > 1000) continue;
    ASSERT_EQ(Holds(tree.text, {{"arg", "x"}}), tree.value) << tree.text;
  }
}

Rule RuleOf(const char* when, const char* test) {
  Rule rule;
  rule.when = *CompileName(when, "team:9 rule");
  rule.condition = *ParseExpression(test);
  rule.rule = "team:9 rule";
  return rule;
}

TEST(RuleTest, AppliesToTheCallsItNames) {
  const Rule rule = RuleOf("git.*", "ref == 'x'");
  const std::vector<RuleArgument> args = {{"ref", "x"}};
  EXPECT_TRUE(Applies(rule, "git.push", args));
  EXPECT_FALSE(Applies(rule, "fs.read", args));
  EXPECT_FALSE(Applies(rule, "git.push", {}));
}

TEST(RuleTest, ARuleThatCannotMeanWhatItSaysIsAnError) {
  const CallNames calls[] = {
      {"fs.read", {"path"}}, {"fs.move", {"from", "to"}}, {"net.fetch", {"url"}}};
  const auto check = [&](const char* when, const char* test) {
    const Rule rules[] = {RuleOf(when, test)};
    const Result<void> checked = CheckRules(rules, calls);
    return checked ? "" : checked.error().message;
  };
  EXPECT_EQ(check("fs.read", "path like '*'"), "");
  EXPECT_EQ(check("fs.read", "pat like '*'"),
            "team:9 rule: `fs.read` has no text argument `pat`; did you mean `path`?");
  EXPECT_EQ(check("fs.*", "path like '*/keys/*'"),
            "team:9 rule: `fs.move` has no text argument `path`; name in `when` only the calls "
            "that have it")
      << "else a move would pass a rule that seems to cover it";
  EXPECT_EQ(check("fs.raed", "path == 'x'"),
            "team:9 rule: no call is named `fs.raed`; did you mean `fs.read`?");
  EXPECT_EQ(check("git.push", "ref == 'x'"), "") << "a call that another version has";
}

}  // namespace
}  // namespace krux::policy
