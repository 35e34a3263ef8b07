// PolicyAsData: everything of a policy, each with its line.
#include "tools/policy_text.h"

namespace krux::tools {
namespace {

using policy::Bound;
using policy::Clause;
using policy::Pattern;
using policy::Scope;

cbor::Array Patterns(const std::vector<Pattern>& patterns) {
  cbor::Array list;
  for (const Pattern& pattern : patterns)
    list.emplace_back(cbor::Map{{"pattern", pattern.text}, {"rule", pattern.rule}});
  return list;
}

// A call is inside if every clause covers it.
cbor::Array Clauses(const Scope& scope) {
  cbor::Array list;
  for (const Clause& clause : scope.clauses) {
    list.emplace_back(cbor::Map{{"any", clause.any},
                                {"allow", Patterns(clause.allow)},
                                {"deny", Patterns(clause.deny)},
                                {"rule", clause.rule}});
  }
  return list;
}

cbor::Map Number(const Bound& bound) {
  cbor::Map map{{"rule", bound.rule}};
  map.Set("value", bound.value == policy::kUnlimited ? cbor::Value() : cbor::Value(bound.value));
  return map;
}

cbor::Map Levels(const policy::Policy& policy) {
  cbor::Map levels;
  for (int i = 0; i < policy::kDimensions; ++i) {
    cbor::Map level{{"level", policy::Name(policy.authority.levels[i])},
                    {"rule", policy.authority.level_rules[i]}};
    if ((policy.obligations >> i & 1) != 0) level.Set("asks", policy.obligation_rules[i]);
    levels.Set(policy::DimensionNames()[i], std::move(level));
  }
  return levels;
}

cbor::Map Budget(const policy::Policy& policy) {
  cbor::Map budget;
  for (int i = 0; i < policy::kBudgets; ++i)
    budget.Set(policy::BudgetNames()[i], Number(policy.budget[i]));
  return budget;
}

cbor::Map ModeOf(const policy::Mode& mode) {
  return {{"then", policy::Name(mode.verdict)}, {"rule", mode.rule}};
}

}  // namespace

cbor::Map PolicyAsData(const policy::Policy& policy) {
  cbor::Array layers, trees, rules;
  for (const std::string_view name : policy::LayerNames())
    if ((policy.authority.required_layers & policy::LayerBit(name)) != 0) layers.emplace_back(name);
  for (const std::string& tree : policy.program_trees) trees.emplace_back(tree);
  for (const policy::Rule& rule : policy.rules) {
    rules.emplace_back(cbor::Map{{"when", rule.when.text},
                                 {"if", rule.text},
                                 {"then", policy::Name(rule.then)},
                                 {"rule", rule.rule}});
  }
  cbor::Map scopes{{"capabilities", Clauses(policy.capabilities)},
                   {"read", Clauses(policy.read_paths)},
                   {"write", Clauses(policy.write_paths)},
                   {"public", Clauses(policy.public_paths)},
                   {"exec", Clauses(policy.exec)},
                   {"hosts", Clauses(policy.hosts)},
                   {"exact_urls", Clauses(policy.exact_urls)},
                   {"refs", Clauses(policy.refs)},
                   {"secrets", Clauses(policy.secret_names)},
                   {"mcp", Clauses(policy.mcp_tools)}};
  return {{"schema", "krux.policy/1"},
          {"name", policy.name},
          {"about", policy.about},
          {"levels", Levels(policy)},
          {"scopes", std::move(scopes)},
          {"sensitive", Patterns(policy.sensitive_paths)},
          {"secret", Patterns(policy.secret_paths)},
          {"exposure", cbor::Map{{"trifecta", ModeOf(policy.trifecta)},
                                 {"trusted_action", ModeOf(policy.trusted_action)}}},
          {"budget", Budget(policy)},
          {"window", cbor::Map{{"length_ms", Number(policy.window_ms)},
                               {"not_before_ms", Number(policy.not_before_ms)},
                               {"not_after_ms", Number(policy.not_after_ms)}}},
          {"delegate_depth", Number(policy.delegate_depth)},
          {"layers", std::move(layers)},
          {"program_trees", std::move(trees)},
          {"rules", std::move(rules)}};
}

}  // namespace krux::tools
