#include "verification/diff/mutate.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

namespace krux::diff {
namespace {

enum class Class : uint8_t { kWord, kNumber, kOperator };
struct Token {
  Class type;
  size_t offset;
  std::string text;
  int depth = 0;  // of parentheses
};

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

size_t OperatorLength(std::string_view rest) {
  for (const std::string_view three : {"<<=", ">>=", "..."}) {
    if (rest.starts_with(three)) return 3;
  }
  for (const std::string_view two : {"->", "++", "--", "<<", ">>", "<=", ">=", "==", "!=", "&&",
                                     "||", "+=", "-=", "|=", "&=", "^=", "##"}) {
    if (rest.starts_with(two)) return 2;
  }
  return 1;
}

// Where the comment, string or #include at `at` ends; `at` itself where there is none.
size_t Skip(std::string_view text, size_t at) {
  const std::string_view rest = text.substr(at);
  if (rest.starts_with("/*")) return text.find("*/", at) + 2;
  if (rest.starts_with("//") || rest.starts_with("#include")) return text.find('\n', at);
  if (rest.starts_with('"')) return text.find('"', at + 1) + 1;
  if (std::isspace(static_cast<unsigned char>(rest.front())) || rest.front() == '\\') return at + 1;
  return at;
}

std::vector<Token> Tokens(std::string_view text) {
  std::vector<Token> tokens;
  int depth = 0;
  for (size_t at = 0; at < text.size();) {
    if (const size_t next = Skip(text, at); next != at) {
      at = next;
      continue;
    }
    Token token{Class::kOperator, at, {}};
    size_t length = 0;
    if (IsWord(text[at])) {
      token.type =
          std::isdigit(static_cast<unsigned char>(text[at])) ? Class::kNumber : Class::kWord;
      while (at + length < text.size() && IsWord(text[at + length])) ++length;
    } else {
      length = OperatorLength(text.substr(at));
    }
    token.text = text.substr(at, length);
    if (token.text == ")" || token.text == "]") --depth;
    token.depth = depth;
    if (token.text == "(" || token.text == "[") ++depth;
    tokens.push_back(std::move(token));
    at += length;
  }
  return tokens;
}

// Groups of names that stand for each other; behind `->` or `.` the fields, elsewhere the others.
using Groups = std::vector<std::vector<std::string>>;
const Groups& Fields() {
  static const Groups groups{
      {"trifecta", "trusted_action", "depth"},
      {"not_before_ms", "not_after_ms"},
      {"levels", "required_layers", "obligations"},
      {"sink", "obliged", "endorsed"},
      {"scopes", "inside"},
      {"network", "runs_program", "within_grants"},
      {"dimension", "risk", "sources"},
      {"readable", "layers"},
      {"nonce", "expires_ms"},
      {"session", "policy_id"},
      {"policy", "digest"},
      {"calls", "last_nonce"},
      {"verdict", "reasons", "contribution", "ticket"},
      {"exposure", "calls"},
  };
  return groups;
}
const Groups& Names() {
  static const Groups groups{
      {"KRUX_DENY", "KRUX_ASK", "KRUX_ALLOW"},
      {"KRUX_LEVEL_NEVER", "KRUX_LEVEL_LOW_RISK", "KRUX_LEVEL_ALWAYS"},
      {"KRUX_RISK_LOW", "KRUX_RISK_ELEVATED", "KRUX_RISK_CRITICAL"},
      {"KRUX_PRIVATE", "KRUX_UNTRUSTED", "KRUX_EXFIL", "KRUX_ALL_LEGS"},
      {"KRUX_TICKET_NONE", "KRUX_TICKET_APPROVE", "KRUX_TICKET_DECLASSIFY_PRIVATE",
       "KRUX_TICKET_DECLASSIFY_UNTRUSTED"},
      {"KRUX_PART_LEVEL", "KRUX_PART_OBLIGATION", "KRUX_PART_SCOPE", "KRUX_PART_GATE",
       "KRUX_PART_TRUST", "KRUX_PART_CONFINEMENT", "KRUX_PART_LIMIT"},
      {"KRUX_DIM_NONE", "KRUX_DIM_RUN_EXEC", "KRUX_DIM_SPAWN_AGENT"},
      {"true", "false"},
      {"a", "b"},
      {"x", "y"},
      {"parent", "child"},
      {"of_gate", "of_trust"},
  };
  return groups;
}

const std::vector<std::string>& Others(const std::string& op) {
  struct Row {
    const char* op;
    std::vector<std::string> others;
  };
  static const std::vector<Row> rows{
      {"<", {"<=", ">="}}, {">", {">=", "<="}}, {"<=", {"<", ">"}},
      {">=", {">", "<"}},  {"==", {"!="}},      {"!=", {"=="}},
      {"&&", {"||"}},      {"||", {"&&"}},      {"+", {"-"}},
      {"-", {"+"}},        {"*", {"+"}},        {"|", {"&", "^"}},
      {"&", {"|"}},        {"<<", {">>"}},      {">>", {"<<"}},
      {"+=", {"-=", "="}}, {"-=", {"+=", "="}}, {"|=", {"&=", "=", "^="}},
      {"&=", {"|=", "="}}, {"!", {""}},         {"~", {""}},
      {"++", {"--"}},
  };
  static const std::vector<std::string> none;
  for (const Row& row : rows) {
    if (op == row.op) return row.others;
  }
  return none;
}

class Finder {
 public:
  Finder(std::string file, std::string_view text)
      : file_(std::move(file)), text_(text), tokens_(Tokens(text)) {}

  std::vector<Mutation> Find() {
    for (at_ = 0; at_ < tokens_.size(); ++at_) {
      TrackFunction();
      const Token& token = tokens_[at_];
      if (token.type == Class::kNumber) Number(token);
      if (token.type == Class::kWord) Word(token);
      if (token.type == Class::kOperator) Operator(token);
      if (token.text == "if") Condition();
      Statement();
    }
    return std::move(found_);
  }

 private:
  std::string At(size_t index) const { return index < tokens_.size() ? tokens_[index].text : ""; }
  std::string Before() const { return at_ == 0 ? "" : At(at_ - 1); }

  // `name(` outside of braces opens a function; its closing brace ends it.
  void TrackFunction() {
    const std::string& text = tokens_[at_].text;
    if (text == "{") ++braces_;
    if (text == "}") --braces_;
    if (braces_ == 0 && tokens_[at_].type == Class::kWord && At(at_ + 1) == "(") function_ = text;
    if (braces_ == 0 && text == ";") function_.clear();
    if (braces_ == 0 && text == "}") function_.clear();
  }

  // The head of a `for` counts; only its relation and its start are of interest.
  bool InForHead() const {
    for (size_t i = at_; i-- > 0;) {
      if (tokens_[i].text == "{" || tokens_[i].text == "}") return false;
      if (tokens_[i].text == "for") return tokens_[at_].depth > tokens_[i].depth;
      if (tokens_[i].text == ")" && tokens_[i].depth < tokens_[at_].depth) return false;
    }
    return false;
  }

  void Add(size_t offset, size_t length, std::string replacement) {
    Mutation mutation;
    mutation.file = file_;
    mutation.function = function_;
    mutation.offset = offset;
    mutation.length = length;
    mutation.replacement = std::move(replacement);
    mutation.line = static_cast<int>(std::count(text_.begin(), text_.begin() + offset, '\n')) + 1;
    const size_t from = text_.rfind('\n', offset) + 1;
    const size_t to = std::min(text_.find('\n', offset + length), text_.size());
    mutation.before = OneLine(text_.substr(from, to - from));
    mutation.after = OneLine(std::string(text_.substr(from, offset - from)) + mutation.replacement +
                             std::string(text_.substr(offset + length, to - offset - length)));
    found_.push_back(std::move(mutation));
  }
  void Replace(const Token& token, std::string replacement) {
    Add(token.offset, token.text.size(), std::move(replacement));
  }

  static std::string OneLine(std::string_view text) {
    std::string line;
    for (const char c : text) {
      const bool space = std::isspace(static_cast<unsigned char>(c)) != 0;
      if (!space) line += c;
      if (space && !line.empty() && line.back() != ' ') line += ' ';
    }
    while (line.ends_with(' ')) line.pop_back();
    return line;
  }

  void Number(const Token& token) {
    if (token.text.size() > 4) return;
    const int value = std::atoi(token.text.c_str());
    if (At(at_ + 1) == "}" && Before() == "{") return;  // {0}: all zero
    if (braces_ == 0 && Before() == "[") return;  // the length of an array parameter says nothing
    Replace(token, std::to_string(value + 1));
    if (value > 0) Replace(token, std::to_string(value - 1));
  }

  void Word(const Token& token) {
    if (function_.empty() && braces_ == 0) return;
    const std::string& name = token.text;
    const bool field = Before() == "->" || Before() == ".";
    if (name.starts_with("KRUX_") && name.ends_with("S") && !field) {
      for (const char* count : {"KRUX_BUDGETS", "KRUX_TICKETS", "KRUX_COMPONENTS",
                                "KRUX_DIMENSIONS", "KRUX_TICKET_KINDS", "KRUX_RISKS"}) {
        // As the length of an array parameter it says nothing.
        if (name == count && Before() != "[") Replace(token, "(" + name + " - 1)");
        if (name == count && Before() != "[") Replace(token, "(" + name + " + 1)");
      }
    }
    if (name == "UINT64_MAX" || name == "UINT8_MAX") Replace(token, "(" + name + " - 1)");
    // A declaration is no use of the name.
    if (!field && (Before() == "*" || (at_ > 0 && tokens_[at_ - 1].type == Class::kWord &&
                                       Before() != "return" && Before() != "case")))
      return;
    for (const auto& group : field ? Fields() : Names()) {
      const auto here = std::find(group.begin(), group.end(), name);
      if (here == group.end()) continue;
      if (group.size() <= 4) {
        for (const std::string& other : group) {
          if (other != name) Replace(token, other);
        }
      } else {
        Replace(token, here + 1 == group.end() ? group.front() : *(here + 1));
      }
    }
  }

  void Operator(const Token& token) {
    const bool binary = at_ > 0 && (tokens_[at_ - 1].type != Class::kOperator || Before() == ")" ||
                                    Before() == "]");
    if (!binary && token.text != "!" && token.text != "~" && token.text != "++") {
      // The first `|` of a table is a line of its own.
      if (token.text != "|") return;
    }
    if (token.text == "*" &&
        (function_.empty() || At(at_ - 1).ends_with("_t") || At(at_ - 1).starts_with("krux_")))
      return;
    if (token.text == "++" && InForHead()) return;
    for (const std::string& other : Others(token.text)) Replace(token, other);
    if (token.text == "&&" || token.text == "||") Operands(token);
  }

  // Leaves out what stands on either side of && or ||: as if it held, or as if it did not.
  void Operands(const Token& token) {
    const std::string neutral = token.text == "&&" ? "1" : "0";
    const auto ends = [&](size_t i) {
      static const std::set<std::string> kEnds{"&&", "||", "return", "=", ",",
                                               ";",  "?",  ":",      "{", "}"};
      return tokens_[i].depth < token.depth ||
             (tokens_[i].depth == token.depth && kEnds.contains(tokens_[i].text));
    };
    size_t first = at_;
    while (first > 0 && !ends(first - 1)) --first;
    size_t last = at_;
    while (last + 1 < tokens_.size() && !ends(last + 1)) ++last;
    const bool leftmost = first == 0 || At(first - 1) != token.text;
    const size_t end = tokens_[last].offset + tokens_[last].text.size();
    const size_t begin = tokens_[first].offset;
    const size_t left_end = tokens_[at_ - 1].offset + tokens_[at_ - 1].text.size();
    if (leftmost) Add(begin, left_end - begin, neutral);
    if (last > at_) Add(tokens_[at_ + 1].offset, end - tokens_[at_ + 1].offset, neutral);
  }

  void Condition() {
    size_t close = at_ + 2;
    while (close < tokens_.size() && tokens_[close].depth > tokens_[at_].depth) ++close;
    const size_t begin = tokens_[at_ + 1].offset + 1;
    for (const char* truth : {"0", "1"}) Add(begin, tokens_[close].offset - begin, truth);
  }

  // A statement that only acts, and break and continue.
  void Statement() {
    static const std::set<std::string> kNot{
        "return",  "const", "struct",   "static", "enum", "if",    "for", "switch", "case",
        "default", "else",  "unsigned", "int",    "bool", "while", "}",   "{",      ";"};
    static const std::set<std::string> kStarts{"{", "}", ";", ")", ":"};
    const Token& token = tokens_[at_];
    if (braces_ == 0 || !kStarts.contains(Before()) || token.depth != 0) return;
    if (kNot.contains(token.text) || token.text.starts_with("uint")) return;
    if (token.type != Class::kWord && token.text != "++") return;
    size_t end = at_;
    while (end < tokens_.size() && !(tokens_[end].text == ";" && tokens_[end].depth == 0)) ++end;
    if (end == tokens_.size()) return;
    Add(token.offset, tokens_[end].offset - token.offset, "");
  }

  std::string file_;
  std::string_view text_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int braces_ = 0;
  std::string function_;
  std::vector<Mutation> found_;
};

// KRUX_DIMENSION(id, name, consequential, lockdown, …): the columns that decide.
std::vector<Mutation> OfTables(const std::string& file, std::string_view text) {
  std::vector<Mutation> found;
  int number = 0;
  for (size_t at = 0, end = 0; at < text.size(); at = end + 1) {
    ++number;
    end = std::min(text.find('\n', at), text.size());
    const std::string line(text.substr(at, end - at));
    if (!line.starts_with("KRUX_DIMENSION(") || line.find('"') == line.npos) continue;
    const auto add = [&](size_t column, size_t length, const std::string& replacement) {
      std::string after = line;
      after.replace(column, length, replacement);
      found.push_back({file, "tables", at + column, length, replacement, number, line, after});
    };
    const size_t name_end = line.find("\",") + 2;
    const size_t consequential = line.find_first_of("01", name_end);
    add(consequential, 1, line[consequential] == '0' ? "1" : "0");
    const size_t lockdown = line.find_first_of("AN", consequential);
    if (line.compare(lockdown, 6, "ALWAYS") == 0) {
      add(lockdown, 6, "NEVER");
    } else {
      add(lockdown, 5, "ALWAYS");
    }
  }
  return found;
}

}  // namespace

std::string Mutation::Apply(std::string_view text) const {
  std::string mutated(text);
  return mutated.replace(offset, length, replacement);
}

std::string Mutation::Key() const {
  return file + " " + function + "\n- " + before + "\n+ " + after;
}

std::vector<Mutation> MutationsOf(const std::string& file, std::string_view text) {
  return file.ends_with(".def") ? OfTables(file, text) : Finder(file, text).Find();
}

}  // namespace krux::diff
