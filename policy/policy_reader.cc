// TOML → Policy. The only file of policy/ that knows toml++.
#include "policy/policy_reader.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/path.h"
#include "base/toml.h"
#include "policy/match_net.h"
#include "policy/nearest.h"
#include "policy/policy_keys.h"
#include "policy/policy_text.h"
#include "policy/policy_values.h"

namespace krux::policy {
namespace {

using Names = std::span<const std::string_view>;

constexpr size_t kMaxPatterns = 1024;  // of one key in one file
constexpr size_t kMaxRules = 1024;
constexpr size_t kMaxTrees = 32;

constexpr auto kVerdictNames = std::to_array<std::string_view>({"deny", "ask"});

std::string List(Names names) {
  std::string list;
  for (const std::string_view name : names)
    list += (list.empty() ? "`" : ", `") + std::string(name) + "`";
  return list;
}

// What the keys of `table` are; those of the top include the tables.
std::vector<std::string_view> KeysOf(std::string_view table) {
  std::vector<std::string_view> keys;
  for (const Key& key : Keys())
    if (key.table == table) keys.push_back(key.name);
  if (table.empty()) std::ranges::copy(Tables(), std::back_inserter(keys));
  return keys;
}

const char* Expected(KeyType type) {
  switch (type) {
    case KeyType::kCommands:
    case KeyType::kCommandList:
      return "lists of words, such as [\"pytest\", \"**\"]";
    case KeyType::kHosts:
    case KeyType::kHostList:
      return "hosts with their port in quotes, such as \"docs.python.org:443\"";
    case KeyType::kUrls:
      return "whole URLs in quotes, such as \"https://docs.python.org/3/\"";
    case KeyType::kRefs:
    case KeyType::kRefList:
      return "refs in quotes, such as \"refs/heads/feature/*\"";
    case KeyType::kNames:
    case KeyType::kNameList:
      return "names in quotes, such as \"fs.*\"";
    default:
      return "patterns in quotes, such as \"${WORK}/**\"";
  }
}

// One item of a list as a pattern. An error without a message: the item has the wrong type.
Result<Pattern> CompileItem(KeyType type, const toml::node& item, const std::string& rule) {
  const auto wrong_type = [] { return Fail(ExitCode::kConfig, "", ""); };
  if (type == KeyType::kCommands || type == KeyType::kCommandList) {
    const toml::array* list = item.as_array();
    if (list == nullptr) return wrong_type();
    std::vector<std::string> words;
    for (const toml::node& word : *list) {
      const auto text = word.value_exact<std::string>();
      if (!text) return wrong_type();
      words.push_back(*text);
    }
    return CompileArgv(words, rule);
  }
  const auto text = item.value_exact<std::string>();
  if (!text) return wrong_type();
  switch (type) {
    case KeyType::kHosts:
    case KeyType::kHostList:
      return CompileHost(*text, rule);
    case KeyType::kUrls:
      return CompileUrl(*text, rule);
    case KeyType::kRefs:
    case KeyType::kRefList:
      return CompileRef(*text, rule);
    case KeyType::kNames:
    case KeyType::kNameList:
      return CompileName(*text, rule);
    case KeyType::kSecretList:
      return CompileSecret(*text, rule);
    default:
      return CompilePath(*text, rule);
  }
}

class Reader {
 public:
  Reader(std::string_view text, std::string_view file) : file_(file), text_(text) {}

  Result<OneFile> Read() {
    const toml::table parsed = KRUX_TRY(ParseToml(text_, file_));
    root_ = &parsed;
    KRUX_TRY(OnlyKeys(*root_, ""));
    KRUX_TRY(Head());
    KRUX_TRY(Levels());
    KRUX_TRY(Obligations());
    one_.sets_trifecta = KRUX_TRY(ReadMode("trifecta", policy_.trifecta));
    one_.sets_trusted_action = KRUX_TRY(ReadMode("trusted_action", policy_.trusted_action));
    KRUX_TRY(Scopes());
    KRUX_TRY(Trees());
    KRUX_TRY(Numbers());
    KRUX_TRY(Isolation());
    KRUX_TRY(Rules());
    return std::move(one_);
  }

 private:
  std::unexpected<Error> Wrong(const toml::source_region& where, const std::string& why) const {
    return Fail(ExitCode::kConfig, "policy", TomlPlace(file_, where) + why);
  }

  // "read_only:12 paths.read"
  std::string Rule(const toml::node& node, std::string_view key) const {
    return file_ + ":" + std::to_string(node.source().begin.line) + " " + std::string(key);
  }
  std::string Unset(std::string_view key, std::string_view meaning) const {
    return file_ + ": " + std::string(key) + " not set = " + std::string(meaning);
  }
  static std::string Path(std::string_view table, std::string_view key) {
    return table.empty() ? std::string(key) : std::string(table) + "." + std::string(key);
  }

  Result<void> OnlyKeys(const toml::table& table, std::string_view name) const {
    const std::vector<std::string_view> keys = KeysOf(name);
    for (const auto& [key, node] : table) {
      if (std::ranges::find(keys, key.str()) != keys.end()) continue;
      if (name == "secrets" && key.str() == "env") {
        return Wrong(key.source(),
                     "`secrets.env` is kept for handles of secrets in the environment of programs, "
                     "which this version does not have; take it out");
      }
      return Wrong(key.source(), "unknown key `" + Path(name, key.str()) + "`" +
                                     DidYouMean(key.str(), keys, "; known keys are " + List(keys)));
    }
    return {};
  }

  // The table called `name`; null when the file has none.
  Result<const toml::table*> Table(std::string_view name) const {
    const toml::node* node = root_->get(name);
    if (node == nullptr) return nullptr;
    const toml::table* table = node->as_table();
    if (table == nullptr) {
      return Wrong(node->source(), "`" + std::string(name) + "` must be a table; write [" +
                                       std::string(name) + "]");
    }
    KRUX_TRY(OnlyKeys(*table, name));
    return table;
  }

  // One key of one table; null when the file has none.
  Result<const toml::node*> Node(std::string_view table, std::string_view key) const {
    const toml::table* found = KRUX_TRY(Table(table));
    return found == nullptr ? nullptr : found->get(key);
  }

  Result<std::string> PolicyName(const toml::node& node, std::string_view key) const {
    const auto text = node.value_exact<std::string>();
    const auto plain = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    };
    if (!text || text->empty() || text->size() > 64 || !std::ranges::all_of(*text, plain)) {
      return Wrong(node.source(),
                   "`" + std::string(key) + "` must be 1 to 64 of a–z, 0–9, `_` and `-`");
    }
    return *text;
  }

  Result<void> Head() {
    const toml::node* version = root_->get("krux");
    if (version == nullptr)
      return Wrong(root_->source(), "`krux = 1` is missing: the version of the file format");
    if (version->value_exact<int64_t>() != 1) {
      return Wrong(version->source(), "`krux` must be 1, the only version of the file format");
    }
    const toml::node* name = root_->get("name");
    if (name == nullptr) return Wrong(root_->source(), "`name` is missing");
    policy_.name = KRUX_TRY(PolicyName(*name, "name"));
    policy_.text = PieceOf(file_, text_);
    KRUX_TRY(About());
    const toml::node* extends = root_->get("extends");
    if (extends == nullptr) return {};
    one_.extends = KRUX_TRY(PolicyName(*extends, "extends"));
    one_.extends_place = TomlPlace(file_, extends->source());
    if (one_.extends == policy_.name)
      return Wrong(extends->source(), "`extends` names the policy itself");
    return {};
  }

  Result<void> About() {
    const toml::node* about = root_->get("about");
    if (about == nullptr) return {};
    const auto text = about->value_exact<std::string>();
    const auto control = [](char c) { return static_cast<unsigned char>(c) < ' '; };
    if (!text || text->size() > 200 || std::ranges::any_of(*text, control)) {
      return Wrong(about->source(), "`about` must be one line in quotes, at most 200 bytes");
    }
    policy_.about = *text;
    return {};
  }

  Result<void> Levels() {
    const Names dimensions = DimensionNames();
    Authority& authority = policy_.authority;
    for (size_t i = 0; i < kDimensions; ++i) {
      authority.level_rules[i] = Unset("levels." + std::string(DimensionNames()[i]), "never");
    }
    const toml::table* table = KRUX_TRY(Table("levels"));
    if (table == nullptr) return {};
    for (const auto& [key, node] : *table) {
      const size_t level = KRUX_TRY(Word(node, Path("levels", key.str()), LevelNames()));
      const auto index = std::ranges::find(dimensions, key.str()) - dimensions.begin();
      authority.levels[index] = static_cast<Level>(level);
      authority.level_rules[index] = Rule(node, Path("levels", key.str()));
    }
    return {};
  }

  // The index of one of a few words.
  Result<size_t> Word(const toml::node& node, const std::string& path, Names words) const {
    const auto text = node.value_exact<std::string>();
    const auto found = text ? std::ranges::find(words, *text) : words.end();
    if (found == words.end()) {
      return Wrong(node.source(), "`" + path + "` must be one of " + List(words) +
                                      (text ? DidYouMean(*text, words) : ""));
    }
    return static_cast<size_t>(found - words.begin());
  }

  Result<const toml::array*> ListAt(const toml::node& node, const std::string& path, const char* of,
                                    size_t most) const {
    const toml::array* list = node.as_array();
    if (list == nullptr) return Wrong(node.source(), "`" + path + "` must be a list of " + of);
    if (list->size() > most) {
      return Wrong(node.source(),
                   "`" + path + "` has more than " + std::to_string(most) + " entries");
    }
    return list;
  }

  Result<void> Obligations() {
    const Names dimensions = DimensionNames();
    const toml::node* node = KRUX_TRY(Node("approve", "always"));
    if (node == nullptr) return {};
    const toml::array* list = KRUX_TRY(
        ListAt(*node, "approve.always", "dimensions, such as [\"git_push\"]", kDimensions));
    for (const toml::node& item : *list) {
      const auto name = item.value_exact<std::string>().value_or("");
      const auto found = std::ranges::find(dimensions, name);
      if (found == dimensions.end()) {
        return Wrong(item.source(),
                     "unknown dimension `" + name + "`" +
                         DidYouMean(name, dimensions, "; the dimensions are " + List(dimensions)));
      }
      const auto index = found - dimensions.begin();
      policy_.obligations = static_cast<uint16_t>(policy_.obligations | 1u << index);
      policy_.obligation_rules[index] = Rule(item, "approve.always");
    }
    return {};
  }

  // True if the file sets it.
  Result<bool> ReadMode(std::string_view key, Mode& mode) const {
    const std::string path = Path("exposure", key);
    mode = {Verdict::kAsk, Unset(path, "ask")};
    const toml::node* node = KRUX_TRY(Node("exposure", key));
    if (node == nullptr) return false;
    const size_t word = KRUX_TRY(Word(*node, path, kVerdictNames));
    mode = {word == 0 ? Verdict::kDeny : Verdict::kAsk, Rule(*node, path)};
    return true;
  }

  Result<std::vector<Pattern>> Patterns(const toml::node& node, const std::string& path,
                                        KeyType type) const {
    const toml::array* list = node.as_array();
    if (list->size() > kMaxPatterns) {
      return Wrong(node.source(),
                   "`" + path + "` has more than " + std::to_string(kMaxPatterns) + " patterns");
    }
    std::vector<Pattern> patterns;
    for (const toml::node& item : *list) {
      Result<Pattern> pattern = CompileItem(type, item, Rule(item, path));
      if (!pattern && pattern.error().message.empty())
        return Wrong(item.source(), "`" + path + "` must hold " + Expected(type));
      if (!pattern) return Wrong(item.source(), pattern.error().message);
      patterns.push_back(std::move(*pattern));
    }
    return patterns;
  }

  // Patterns that take something away: absent = none, and there is no "any".
  Result<std::vector<Pattern>> Exceptions(std::string_view table, std::string_view key,
                                          KeyType type) const {
    const toml::node* node = KRUX_TRY(Node(table, key));
    if (node == nullptr) return std::vector<Pattern>{};
    const std::string path = Path(table, key);
    if (!node->is_array()) {
      return Wrong(node->source(),
                   "`" + path + "` must be a list; it takes away, so it knows no \"any\"");
    }
    return Patterns(*node, path, type);
  }

  // One clause: the string "any", or a list of patterns. `meaning` is what no key means.
  Result<Clause> ReadClause(std::string_view table, std::string_view key, KeyType type,
                            std::string_view meaning) const {
    const std::string path = Path(table, key);
    const toml::node* node = KRUX_TRY(Node(table, key));
    if (node == nullptr) return Clause{meaning == "any", {}, Unset(path, meaning)};
    Clause clause{node->value_exact<std::string>() == "any", {}, Rule(*node, path)};
    if (clause.any) return clause;
    if (!node->is_array()) {
      return Wrong(node->source(),
                   "`" + path + "` must be a list, or \"any\"; an empty list means nothing");
    }
    clause.allow = KRUX_TRY(Patterns(*node, path, type));
    return clause;
  }

  Result<void> Scopes() {
    using enum KeyType;
    struct Row {
      Scope Policy::* scope;
      std::string_view table, allow, deny, meaning;
      KeyType type;
    };
    // Only of the calls' names, absence means any: the levels already say which calls exist.
    static constexpr Row kRows[] = {
        {&Policy::capabilities, "capabilities", "allow", "deny", "any", kNames},
        {&Policy::read_paths, "paths", "read", "deny_read", "nothing", kPaths},
        {&Policy::write_paths, "paths", "write", "deny_write", "nothing", kPaths},
        {&Policy::public_paths, "paths", "public", "", "nothing", kPaths},
        {&Policy::exec, "exec", "allow", "deny", "nothing", kCommands},
        {&Policy::hosts, "net", "allow", "deny", "nothing", kHosts},
        {&Policy::exact_urls, "net", "exact", "", "nothing", kUrls},
        {&Policy::refs, "git", "refs", "deny", "nothing", kRefs},
        {&Policy::secret_names, "secrets", "allow", "deny", "nothing", kNames},
        {&Policy::mcp_tools, "mcp", "allow", "deny", "nothing", kNames}};
    for (const Row& row : kRows) {
      Clause clause = KRUX_TRY(ReadClause(row.table, row.allow, row.type, row.meaning));
      if (!row.deny.empty()) clause.deny = KRUX_TRY(Exceptions(row.table, row.deny, row.type));
      (policy_.*row.scope).clauses = {std::move(clause)};
    }
    policy_.sensitive_paths = KRUX_TRY(Exceptions("paths", "sensitive", kPathList));
    policy_.secret_paths = KRUX_TRY(Exceptions("paths", "secret", kSecretList));
    return {};
  }

  Result<void> Trees() {
    const toml::node* trees = KRUX_TRY(Node("exec", "program_trees"));
    if (trees == nullptr) return {};
    one_.has_trees = true;
    const toml::array* list = KRUX_TRY(
        ListAt(*trees, "exec.program_trees", "paths, such as [\"/usr\", \"/lib\"]", kMaxTrees));
    for (const toml::node& item : *list) {
      const auto text = item.value_exact<std::string>().value_or("");
      char canonical[KRUX_PATH_SIZE];
      size_t length = 0;
      const krux_path_status status =
          krux_path_canonical(text.data(), text.size(), canonical, sizeof canonical, &length);
      if (status != KRUX_PATH_OK || text != canonical || length == 1) {
        return Wrong(item.source(),
                     "`exec.program_trees` must hold absolute paths below `/`, written plainly, "
                     "such as \"/usr\"");
      }
      policy_.program_trees.push_back(text);
    }
    return {};
  }

  Result<uint64_t> Number(const toml::node& node, const std::string& path, KeyType type) const {
    const auto count = node.value_exact<int64_t>();
    const auto text = node.value_exact<std::string>();
    std::optional<uint64_t> value;
    const char* form = "";
    switch (type) {
      case KeyType::kDuration:
        form = "a time in quotes, such as \"2h\", \"1h30m\" or \"90s\"";
        if (text) value = ReadDuration(*text);
        break;
      case KeyType::kMoney:
        form = "an amount in quotes, such as \"5.00\"";
        if (text) value = ReadMoney(*text);
        break;
      case KeyType::kBytes:
        form = "a number of bytes, such as 1048576 or \"64MiB\"";
        if (text) value = ReadBytes(*text);
        if (count && *count >= 0) value = static_cast<uint64_t>(*count);
        break;
      case KeyType::kDepth:
        form = "a number from 0 to 255";
        if (count && *count >= 0 && *count <= 255) value = static_cast<uint64_t>(*count);
        break;
      case KeyType::kTime:
        form = "a time with its zone and without quotes, such as 2026-01-31T09:00:00Z";
        if (const auto time = node.value_exact<toml::date_time>()) value = Milliseconds(*time);
        break;
      default:
        form = "a whole number, 0 or more";
        if (count && *count >= 0) value = static_cast<uint64_t>(*count);
    }
    if (!value) return Wrong(node.source(), "`" + path + "` must be " + form);
    return *value;
  }

  // Since 1970; nothing for a time without zone, which is another moment elsewhere.
  static std::optional<uint64_t> Milliseconds(const toml::date_time& time) {
    using namespace std::chrono;
    if (!time.offset) return std::nullopt;
    const sys_days day = year_month_day(year(time.date.year), month(time.date.month),
                                        std::chrono::day(time.date.day));
    const int64_t seconds = day.time_since_epoch().count() * int64_t{86'400} +
                            time.time.hour * 3600 + time.time.minute * 60 + time.time.second -
                            time.offset->minutes * 60;
    if (seconds < 0) return std::nullopt;
    return static_cast<uint64_t>(seconds) * 1000 + time.time.nanosecond / 1'000'000;
  }

  Result<void> ReadBound(const Key& key, uint64_t absent, Bound& bound) const {
    const std::string path = Path(key.table, key.name);
    bound = {absent, Unset(path, key.type == KeyType::kDepth ? "0" : "no limit")};
    const toml::node* node = KRUX_TRY(Node(key.table, key.name));
    if (node == nullptr) return {};
    bound = {KRUX_TRY(Number(*node, path, key.type)), Rule(*node, path)};
    return {};
  }

  Result<void> Numbers() {
    size_t budget = 0;  // the keys of [budget] stand in the kernel's order
    for (const Key& key : Keys()) {
      if (key.table == "budget") {
        KRUX_TRY(ReadBound(key, kUnlimited, policy_.budget[budget++]));
      } else if (key.table == "window") {
        if (key.name == "length") KRUX_TRY(ReadBound(key, kUnlimited, policy_.window_ms));
        if (key.name == "not_before") KRUX_TRY(ReadBound(key, 0, policy_.not_before_ms));
        if (key.name == "not_after") KRUX_TRY(ReadBound(key, kUnlimited, policy_.not_after_ms));
      } else if (key.table == "delegate") {
        KRUX_TRY(ReadBound(key, 0, policy_.delegate_depth));
      }
    }
    return {};
  }

  Result<void> Isolation() {
    const toml::node* node = KRUX_TRY(Node("isolation", "require"));
    if (node == nullptr) return {};
    const toml::array* list =
        KRUX_TRY(ListAt(*node, "isolation.require", "layer names", LayerNames().size()));
    policy_.authority.isolation_rule = Rule(*node, "isolation.require");
    for (const toml::node& item : *list) {
      const auto name = item.value_exact<std::string>().value_or("");
      const uint32_t bit = LayerBit(name);
      if (bit == 0) {
        return Wrong(item.source(),
                     "unknown layer `" + name + "`" +
                         DidYouMean(name, LayerNames(), "; the layers are " + List(LayerNames())));
      }
      policy_.authority.required_layers |= bit;
    }
    return {};
  }

  Result<void> Rules() {
    const toml::node* node = root_->get(kRuleTable);
    if (node == nullptr) return {};
    const toml::array* list = node->as_array();
    if (list == nullptr)
      return Wrong(node->source(), "`rule` must be a list of tables; write [[rule]]");
    if (list->size() > kMaxRules) {
      return Wrong(node->source(), "there are more than " + std::to_string(kMaxRules) + " rules");
    }
    for (const toml::node& item : *list) {
      const toml::table* table = item.as_table();
      if (table == nullptr)
        return Wrong(item.source(), "`rule` must be a list of tables; write [[rule]]");
      KRUX_TRY(OnlyKeys(*table, kRuleTable));
      policy_.rules.push_back(KRUX_TRY(OneRule(*table)));
    }
    return {};
  }

  Result<policy::Rule> OneRule(const toml::table& table) const {
    const toml::node* when = table.get("when");
    const toml::node* then = table.get("then");
    if (when == nullptr)
      return Wrong(table.source(), "the rule has no `when`: the calls it is about");
    if (then == nullptr) return Wrong(table.source(), "the rule has no `then`: `deny` or `ask`");
    const auto name = when->value_exact<std::string>();
    if (!name)
      return Wrong(when->source(), "`rule.when` must be a name in quotes, such as \"git.*\"");
    policy::Rule rule;
    rule.rule = Rule(*when, "rule");
    Result<Pattern> pattern = CompileName(*name, rule.rule);
    if (!pattern) return Wrong(when->source(), pattern.error().message);
    rule.when = std::move(*pattern);
    rule.then =
        KRUX_TRY(Word(*then, "rule.then", kVerdictNames)) == 0 ? Verdict::kDeny : Verdict::kAsk;
    if (const toml::node* test = table.get("if")) {
      const auto text = test->value_exact<std::string>();
      if (!text) return Wrong(test->source(), "`rule.if` must be a test in quotes");
      Result<Expression> condition = ParseExpression(*text);
      if (!condition) return Wrong(test->source(), condition.error().message);
      rule.condition = std::move(*condition);
      rule.text = *text;
    }
    return rule;
  }

  std::string file_;
  std::string_view text_;
  const toml::table* root_ = nullptr;
  OneFile one_;
  Policy& policy_ = one_.policy;
};

}  // namespace

Result<OneFile> ReadOneFile(std::string_view text, std::string_view file) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < ' '; };
  if (std::ranges::any_of(file, control))
    return Fail(ExitCode::kConfig, "policy", "the name of the policy file has control characters");
  if (text.size() > kMaxPolicyBytes) {
    return Fail(ExitCode::kConfig, "policy",
                std::string(file) + ":1:1: the file is larger than 256 KiB");
  }
  return Reader(text, file).Read();
}

}  // namespace krux::policy
