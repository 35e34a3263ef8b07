// TOML → Policy. The only file of policy/ that knows toml++.
#include <algorithm>
#include <array>

#include "base/path.h"
#include "base/toml.h"
#include "policy/nearest.h"
#include "policy/policy_file.h"

namespace krux::policy {
namespace {

using Names = std::span<const std::string_view>;

constexpr size_t kMaxPatterns = 256;  // of one scope in one file
constexpr size_t kMaxTrees = 32;

std::string List(Names names) {
  std::string list;
  for (const std::string_view name : names)
    list += (list.empty() ? "`" : ", `") + std::string(name) + "`";
  return list;
}

class Reader {
 public:
  Reader(std::string_view text, std::string_view file) : file_(file), text_(text) {}

  Result<Policy> Read() {
    const toml::table parsed = KRUX_TRY(ParseToml(text_, file_));
    root_ = &parsed;
    static constexpr auto kKeys = std::to_array<std::string_view>(
        {"krux", "name", "extends", "levels", "capabilities", "paths", "exec", "isolation"});
    KRUX_TRY(OnlyKeys(*root_, "", kKeys));
    KRUX_TRY(Head());
    KRUX_TRY(Levels());
    KRUX_TRY(Capabilities());
    KRUX_TRY(Paths());
    KRUX_TRY(Exec());
    KRUX_TRY(Isolation());
    if (const toml::node* extends = root_->get("extends")) {
      const auto name = extends->value_exact<std::string>();
      if (!name) return Wrong(extends->source(), "`extends` must be the name of a profile");
      if (*name == policy_.name)
        return Wrong(extends->source(), "`extends` names the policy itself");
      Result<Policy> parent = FindProfile(*name);
      if (!parent) return Wrong(extends->source(), parent.error().message);
      if (!has_trees_) policy_.program_trees = parent->program_trees;
      return Meet(*parent, policy_);
    }
    return std::move(policy_);
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

  Result<void> OnlyKeys(const toml::table& table, const std::string& prefix, Names keys) const {
    for (const auto& [key, node] : table) {
      if (std::ranges::find(keys, key.str()) != keys.end()) continue;
      return Wrong(key.source(), "unknown key `" + prefix + std::string(key.str()) + "`" +
                                     DidYouMean(key.str(), keys, "; known keys are " + List(keys)));
    }
    return {};
  }

  // The table called `name`; null when the file has none.
  Result<const toml::table*> Table(std::string_view name, Names keys) const {
    const toml::node* node = root_->get(name);
    if (node == nullptr) return nullptr;
    const toml::table* table = node->as_table();
    if (table == nullptr) {
      return Wrong(node->source(), "`" + std::string(name) + "` must be a table; write [" +
                                       std::string(name) + "]");
    }
    KRUX_TRY(OnlyKeys(*table, std::string(name) + ".", keys));
    return table;
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
    const auto text = name->value_exact<std::string>();
    const auto plain = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    };
    if (!text || text->empty() || text->size() > 64 || !std::ranges::all_of(*text, plain)) {
      return Wrong(name->source(), "`name` must be 1 to 64 of a–z, 0–9, `_` and `-`");
    }
    policy_.name = *text;
    policy_.text = "# krux policy " + file_ + " " + std::to_string(text_.size()) + " bytes\n" +
                   std::string(text_);
    return {};
  }

  Result<void> Levels() {
    Authority& authority = policy_.authority;
    for (size_t i = 0; i < kDimensions; ++i) {
      authority.level_rules[i] = Unset("levels." + std::string(DimensionNames()[i]), "never");
    }
    const toml::table* table = KRUX_TRY(Table("levels", DimensionNames()));
    if (table == nullptr) return {};
    for (const auto& [key, node] : *table) {
      const auto text = node.value_exact<std::string>();
      const Names levels = LevelNames();
      const auto level = text ? std::ranges::find(levels, *text) : levels.end();
      if (level == levels.end()) {
        return Wrong(node.source(), "`levels." + std::string(key.str()) + "` must be one of " +
                                        List(LevelNames()) +
                                        (text ? DidYouMean(*text, LevelNames()) : ""));
      }
      const Names names = DimensionNames();
      const auto index = std::ranges::find(names, key.str()) - names.begin();
      authority.levels[index] = static_cast<Level>(level - levels.begin());
      authority.level_rules[index] = Rule(node, "levels." + std::string(key.str()));
    }
    return {};
  }

  // One clause: the string "any", or a list whose items `compile` turns into patterns. `absent` is
  // what no key means.
  template <typename Compile>
  Result<Clause> ReadClause(const toml::table* table, std::string_view key, const std::string& path,
                            Clause absent, Compile compile) const {
    const toml::node* node = table == nullptr ? nullptr : table->get(key);
    if (node == nullptr) return absent;
    Clause clause{false, {}, Rule(*node, path)};
    if (node->value_exact<std::string>() == "any") {
      clause.any = true;
      return clause;
    }
    const toml::array* list = node->as_array();
    if (list == nullptr) {
      return Wrong(node->source(),
                   "`" + path + "` must be a list, or \"any\"; an empty list means nothing");
    }
    if (list->size() > kMaxPatterns)
      return Wrong(node->source(), "`" + path + "` has more than 256 patterns");
    for (const toml::node& item : *list) {
      Result<Pattern> pattern = compile(item, Rule(item, path));
      if (!pattern && pattern.error().message.empty()) {
        return Wrong(item.source(), "`" + path + "` must hold " + pattern.error().stage);
      }
      if (!pattern) return Wrong(item.source(), pattern.error().message);
      clause.allow.push_back(std::move(*pattern));
    }
    return clause;
  }

  // An item of the wrong type: ReadClause words it with the place. `expected` says what belongs
  // there.
  static std::unexpected<Error> WrongType(const char* expected) {
    return Fail(ExitCode::kConfig, expected, "");
  }

  static Result<Pattern> PathItem(const toml::node& item, const std::string& rule) {
    const auto text = item.value_exact<std::string>();
    if (!text) return WrongType("patterns in quotes, such as \"${WORK}/**\"");
    return CompilePath(*text, rule);
  }

  static Result<Pattern> SecretItem(const toml::node& item, const std::string& rule) {
    const auto text = item.value_exact<std::string>();
    if (!text) return WrongType("patterns in quotes, such as \"**/.ssh/**\"");
    return CompileSecret(*text, rule);
  }

  static Result<Pattern> NameItem(const toml::node& item, const std::string& rule) {
    const auto text = item.value_exact<std::string>();
    if (!text) return WrongType("capability names in quotes, such as \"fs.*\"");
    return CompileName(*text, rule);
  }

  static Result<Pattern> ArgvItem(const toml::node& item, const std::string& rule) {
    constexpr const char* kExpected = "lists of words, such as [\"pytest\", \"**\"]";
    const toml::array* list = item.as_array();
    if (list == nullptr) return WrongType(kExpected);
    std::vector<std::string> words;
    for (const toml::node& word : *list) {
      const auto text = word.value_exact<std::string>();
      if (!text) return WrongType(kExpected);
      words.push_back(*text);
    }
    return CompileArgv(words, rule);
  }

  Result<void> Capabilities() {
    static constexpr auto kKeys = std::to_array<std::string_view>({"allow"});
    const toml::table* table = KRUX_TRY(Table("capabilities", kKeys));
    // The one scope whose absence means any: the levels already say which calls exist.
    const Clause any{true, {}, Unset("capabilities.allow", "any")};
    policy_.capabilities.clauses = {
        KRUX_TRY(ReadClause(table, "allow", "capabilities.allow", any, NameItem))};
    return {};
  }

  Result<void> Paths() {
    static constexpr auto kKeys = std::to_array<std::string_view>({"read", "write", "secret"});
    const toml::table* table = KRUX_TRY(Table("paths", kKeys));
    const Clause no_read{false, {}, Unset("paths.read", "nothing")};
    const Clause no_write{false, {}, Unset("paths.write", "nothing")};
    policy_.read_paths.clauses = {
        KRUX_TRY(ReadClause(table, "read", "paths.read", no_read, PathItem))};
    policy_.write_paths.clauses = {
        KRUX_TRY(ReadClause(table, "write", "paths.write", no_write, PathItem))};
    Clause secret = KRUX_TRY(ReadClause(table, "secret", "paths.secret", {}, SecretItem));
    if (secret.any) {
      return Wrong(table->get("secret")->source(),
                   "`paths.secret` must be a list; write [\"**\"] for every path");
    }
    policy_.secret_paths = std::move(secret.allow);
    return {};
  }

  Result<void> Exec() {
    static constexpr auto kKeys = std::to_array<std::string_view>({"allow", "program_trees"});
    const toml::table* table = KRUX_TRY(Table("exec", kKeys));
    const Clause nothing{false, {}, Unset("exec.allow", "nothing")};
    policy_.exec.clauses = {KRUX_TRY(ReadClause(table, "allow", "exec.allow", nothing, ArgvItem))};
    const toml::node* trees = table == nullptr ? nullptr : table->get("program_trees");
    if (trees == nullptr) return {};
    has_trees_ = true;
    const toml::array* list = trees->as_array();
    if (list == nullptr || list->size() > kMaxTrees) {
      return Wrong(trees->source(), "`exec.program_trees` must be a list of at most 32 paths");
    }
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

  Result<void> Isolation() {
    static constexpr auto kKeys = std::to_array<std::string_view>({"require"});
    const toml::table* table = KRUX_TRY(Table("isolation", kKeys));
    const toml::node* node = table == nullptr ? nullptr : table->get("require");
    if (node == nullptr) return {};
    const toml::array* list = node->as_array();
    if (list == nullptr)
      return Wrong(node->source(), "`isolation.require` must be a list of layer names");
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

  std::string file_;
  std::string_view text_;
  const toml::table* root_ = nullptr;
  bool has_trees_ = false;
  Policy policy_;
};

}  // namespace

Result<Policy> ParsePolicy(std::string_view text, std::string_view file) {
  if (text.size() > kMaxPolicyBytes) {
    return Fail(ExitCode::kConfig, "policy",
                std::string(file) + ":1:1: the file is larger than 64 KiB");
  }
  return Reader(text, file).Read();
}

}  // namespace krux::policy
