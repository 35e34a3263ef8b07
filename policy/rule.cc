#include "policy/rule.h"

#include <algorithm>

#include "policy/nearest.h"

namespace krux::policy {

namespace {

constexpr size_t kMaxBytes = 1024;
constexpr size_t kMaxComparisons = 64;
constexpr int kMaxDepth = 16;

bool NameStart(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }
bool NameByte(char c) { return NameStart(c) || (c >= '0' && c <= '9'); }

std::unexpected<Error> Wrong(size_t at, const std::string& why) {
  return Fail(ExitCode::kConfig, "policy",
              "`if`, character " + std::to_string(at + 1) + ": " + why);
}

}  // namespace

// Recursive descent: or → and → unary → comparison. Depth is bounded, so the stack is.
class ExpressionReader {
 public:
  explicit ExpressionReader(std::string_view text) : text_(text) {}

  Result<Expression> Read() {
    if (text_.size() > kMaxBytes)
      return Wrong(kMaxBytes, "the expression is longer than 1024 bytes");
    KRUX_TRY(Chain("or", 0));
    Blanks();
    if (at_ < text_.size())
      return Wrong(at_, "`" + std::string(1, text_[at_]) + "` does not go on; write `and` or `or`");
    return std::move(result_);
  }

 private:
  using Kind = Expression::Kind;

  void Blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n'))
      ++at_;
  }

  // Takes `token` if it comes next; a word only if it ends there.
  bool Take(std::string_view token) {
    Blanks();
    if (!text_.substr(at_).starts_with(token)) return false;
    const size_t end = at_ + token.size();
    if (NameStart(token[0]) && end < text_.size() && NameByte(text_[end])) return false;
    at_ = end;
    return true;
  }

  // One level of operators: `or` joins `and`s, `and` joins unaries.
  Result<void> Chain(std::string_view word, int depth) {
    const bool is_or = word == "or";
    KRUX_TRY(is_or ? Chain("and", depth) : Unary(depth));
    while (Take(word)) {
      KRUX_TRY(is_or ? Chain("and", depth) : Unary(depth));
      result_.steps_.push_back({is_or ? Kind::kOr : Kind::kAnd, "", ""});
    }
    return {};
  }

  Result<void> Unary(int depth) {
    if (depth > kMaxDepth) return Wrong(at_, "more than 16 levels of `not` and parentheses");
    if (Take("not")) {
      KRUX_TRY(Unary(depth + 1));
      result_.steps_.push_back({Kind::kNot, "", ""});
      return {};
    }
    if (!Take("(")) return Comparison();
    KRUX_TRY(Chain("or", depth + 1));
    if (!Take(")")) return Wrong(at_, "a `)` is missing");
    return {};
  }

  Result<void> Comparison() {
    if (++comparisons_ > kMaxComparisons) return Wrong(at_, "more than 64 comparisons");
    Blanks();
    const size_t begin = at_;
    if (at_ < text_.size() && NameStart(text_[at_])) {
      while (at_ < text_.size() && NameByte(text_[at_])) ++at_;
    }
    const std::string name(text_.substr(begin, at_ - begin));
    if (name.empty() || name == "and" || name == "or" || name == "like") {
      return Wrong(begin, "the name of an argument belongs here, as in `ref == 'refs/heads/main'`");
    }
    Kind kind = Kind::kEqual;
    if (Take("!=")) {
      kind = Kind::kUnequal;
    } else if (Take("like")) {
      kind = Kind::kLike;
    } else if (!Take("==")) {
      return Wrong(at_, "`==`, `!=` or `like` belongs behind `" + name + "`");
    }
    Blanks();
    const size_t quote = at_;
    std::string text = KRUX_TRY(Quoted());
    if (kind == Kind::kLike) {
      // The wildcards of one part, checked by the one that matches them.
      if (const Result<Pattern> glob = CompileName(text, ""); !glob || text == "**") {
        return Wrong(quote, glob ? "`**` is written `*` here" : glob.error().message);
      }
    }
    result_.steps_.push_back({kind, name, std::move(text)});
    return {};
  }

  Result<std::string> Quoted() {
    const size_t begin = at_;
    if (at_ >= text_.size() || text_[at_] != '\'')
      return Wrong(at_, "a text in single quotes belongs here, as in 'refs/heads/main'");
    std::string text;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\'') {
        if (!text_.substr(at_ + 1).starts_with('\'')) {
          ++at_;
          return text;
        }
        ++at_;
      }
      text += text_[at_];
    }
    return Wrong(begin, "the text has no closing `'`");
  }

  std::string_view text_;
  size_t at_ = 0;
  size_t comparisons_ = 0;
  Expression result_;
};

Result<Expression> ParseExpression(std::string_view text) { return ExpressionReader(text).Read(); }

bool Expression::Holds(std::span<const RuleArgument> args) const {
  const auto value = [&](const std::string& name) -> std::string_view {
    const auto found = std::ranges::find(args, name, &RuleArgument::name);
    return found == args.end() ? "" : found->value;
  };
  std::vector<bool> stack;
  const auto pop = [&] {
    const bool top = stack.back();
    stack.pop_back();
    return top;
  };
  for (const Step& step : steps_) {
    switch (step.kind) {
      case Kind::kEqual:
        stack.push_back(value(step.name) == step.text);
        break;
      case Kind::kUnequal:
        stack.push_back(value(step.name) != step.text);
        break;
      case Kind::kLike:
        stack.push_back(MatchPart(step.text, value(step.name)));
        break;
      case Kind::kNot:
        stack.back() = !stack.back();
        break;
      case Kind::kAnd: {
        const bool right = pop();
        stack.back() = stack.back() && right;
        break;
      }
      case Kind::kOr: {
        const bool right = pop();
        stack.back() = stack.back() || right;
        break;
      }
    }
  }
  return stack.empty() || stack.back();
}

std::vector<std::string> Expression::Names() const {
  std::vector<std::string> names;
  for (const Step& step : steps_) {
    if (!step.name.empty() && std::ranges::find(names, step.name) == names.end())
      names.push_back(step.name);
  }
  return names;
}

bool Applies(const Rule& rule, std::string_view capability, std::span<const RuleArgument> args) {
  const std::string_view subject[] = {capability};
  return MatchParts(rule.when.parts, subject) && rule.condition.Holds(args);
}

Result<void> CheckRules(std::span<const Rule> rules, std::span<const CallNames> calls) {
  std::vector<std::string_view> capabilities;
  for (const CallNames& call : calls) capabilities.push_back(call.capability);
  for (const Rule& rule : rules) {
    const std::vector<std::string> names = rule.condition.Names();
    bool matches = false;
    for (const CallNames& call : calls) {
      const std::string_view subject[] = {call.capability};
      if (!MatchParts(rule.when.parts, subject)) continue;
      matches = true;
      for (const std::string& name : names) {
        if (std::ranges::find(call.text_arguments, name) != call.text_arguments.end()) continue;
        return Fail(ExitCode::kConfig, "policy",
                    rule.rule + ": `" + std::string(call.capability) + "` has no text argument `" +
                        name + "`" +
                        DidYouMean(name, call.text_arguments,
                                   "; name in `when` only the calls that have it"));
      }
    }
    if (matches) continue;
    const std::string near = DidYouMean(rule.when.text, capabilities);
    if (!near.empty()) {
      return Fail(ExitCode::kConfig, "policy",
                  rule.rule + ": no call is named `" + rule.when.text + "`" + near);
    }
  }
  return {};
}

}  // namespace krux::policy
