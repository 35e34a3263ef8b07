// [[rule]]: a line of a policy that looks at the arguments of one call and can only lower its
// verdict.
//
//   Expression e = KRUX_TRY(ParseExpression("ref == 'refs/heads/main' or ref like 'v*'"));
//   const RuleArgument args[] = {{"ref", "refs/heads/main"}};
//   e.Holds(args);                                    // true
//   for (const Rule& rule : policy.rules) {
//     if (!Applies(rule, "git.push", args)) continue;
//     // rule.then is deny: a scope bit that is outside. ask: an obligation of this one call.
//   }
//
// The language is total and small: `name == 'text'`, `name != 'text'`, `name like 'glob'`, `and`,
// `or`, `not`, parentheses; at most 1024 bytes, 64 comparisons and 16 levels. In a text, '' is one
// quote. A glob knows `*` (any run of characters, also `/`), `?` and `\`. An argument that a call
// leaves out is the empty text.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/decide.h"
#include "policy/match.h"

namespace krux::policy {

// One bound text argument of a call.
struct RuleArgument {
  std::string_view name;
  std::string_view value;
};

class Expression {
 public:
  // An expression without a test holds for every call.
  bool Holds(std::span<const RuleArgument> args) const;
  // The names it compares, each once, in the order of the text.
  std::vector<std::string> Names() const;
  bool operator==(const Expression&) const = default;

 private:
  friend class ExpressionReader;
  enum class Kind : uint8_t { kEqual, kUnequal, kLike, kNot, kAnd, kOr };
  // Postfix: a comparison pushes its answer, the others take theirs from the stack.
  struct Step {
    Kind kind;
    std::string name;  // comparisons only
    std::string text;
    bool operator==(const Step&) const = default;
  };
  std::vector<Step> steps_;
};

Result<Expression> ParseExpression(std::string_view text);

struct Rule {
  Pattern when;                   // of capability names
  Expression condition;           // `if`; absent = always
  Verdict then = Verdict::kDeny;  // kDeny or kAsk
  std::string rule;               // "team:31 rule"
  std::string text;               // the condition as written
};

bool Applies(const Rule& rule, std::string_view capability, std::span<const RuleArgument> args);

// What rules may ask about one call: policy/ knows no catalog, so whoever has one hands it in.
struct CallNames {
  std::string_view capability;
  std::vector<std::string_view> text_arguments;
};
// Code kConfig for the first rule that can never say what its author meant: it compares an argument
// that one of its calls does not have, or its `when` is a misspelt name.
Result<void> CheckRules(std::span<const Rule> rules, std::span<const CallNames> calls);

}  // namespace krux::policy
