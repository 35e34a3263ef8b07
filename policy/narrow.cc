// The order of policies, as far as their spelling shows it, and the meet that keeps no dead weight.
#include <algorithm>

#include "base/path.h"
#include "policy/policy_set.h"

namespace krux::policy {
namespace {

using Spelling = std::pair<bool, const std::vector<std::string>*>;

bool Before(const Spelling& a, const Spelling& b) {
  return a.first != b.first ? a.first < b.first : *a.second < *b.second;
}
bool Same(const Spelling& a, const Spelling& b) {
  return a.first == b.first && *a.second == *b.second;
}

// Each once, sorted: a reload compares every pattern of every session.
std::vector<Spelling> Spellings(const std::vector<Pattern>& patterns) {
  std::vector<Spelling> all;
  for (const Pattern& pattern : patterns) all.emplace_back(pattern.in_work, &pattern.parts);
  std::ranges::sort(all, Before);
  all.erase(std::ranges::unique(all, Same).begin(), all.end());
  return all;
}

// Does `more` have every pattern of `less`?
bool Has(const std::vector<Pattern>& more, const std::vector<Pattern>& less) {
  return std::ranges::includes(Spellings(more), Spellings(less), Before);
}

bool ClauseWithin(const Clause& narrow, const Clause& wide) {
  if (!Has(narrow.deny, wide.deny)) return false;
  if (wide.any) return true;
  return !narrow.any && Has(wide.allow, narrow.allow);
}

// A scope without a clause covers nothing.
bool ScopeWithin(const Scope& narrow, const Scope& wide) {
  if (narrow.clauses.empty()) return true;
  if (wide.clauses.empty()) return false;
  return std::ranges::all_of(wide.clauses, [&](const Clause& clause) {
    return std::ranges::any_of(narrow.clauses,
                               [&](const Clause& own) { return ClauseWithin(own, clause); });
  });
}

bool RulesWithin(const std::vector<Rule>& narrow, const std::vector<Rule>& wide) {
  return std::ranges::all_of(wide, [&](const Rule& rule) {
    return std::ranges::any_of(narrow, [&](const Rule& own) {
      return own.when.parts == rule.when.parts && own.condition == rule.condition &&
             own.then <= rule.then;
    });
  });
}

bool TreesWithin(const std::vector<std::string>& narrow, const std::vector<std::string>& wide) {
  return std::ranges::all_of(narrow, [&](const std::string& path) {
    return std::ranges::any_of(wide, [&](const std::string& tree) {
      return krux_path_within(tree.data(), tree.size(), path.data(), path.size());
    });
  });
}

// A clause that covers all of another takes nothing away.
void DropIdle(Scope& scope) {
  const std::vector<Clause> all = std::move(scope.clauses);
  scope.clauses.clear();
  for (size_t i = 0; i < all.size(); ++i) {
    bool idle = false;
    for (size_t j = 0; j < all.size() && !idle; ++j) {
      // Of two that say the same, the later one stays: it names the file as it is now.
      idle = i != j && ClauseWithin(all[j], all[i]) && (j > i || !ClauseWithin(all[i], all[j]));
    }
    if (!idle) scope.clauses.push_back(all[i]);
  }
}

}  // namespace

bool Within(const Policy& narrow, const Policy& wide) {
  // Every member by name: one that is added and not compared below does not compile.
  const auto& [name, about, authority, capabilities, obligations, obligation_rules, trifecta,
               trusted_action, read_paths, write_paths, public_paths, exec, hosts, exact_urls, refs,
               secret_names, mcp_tools, sensitive_paths, secret_paths, rules, budget, window_ms,
               not_before_ms, not_after_ms, delegate_depth, program_trees, bound, text] = narrow;
  for (int i = 0; i < kDimensions; ++i) {
    if (authority.levels[i] > wide.authority.levels[i]) return false;
  }
  for (int i = 0; i < kBudgets; ++i) {
    if (budget[i].value > wide.budget[i].value) return false;
  }
  for (Scope Policy::* scope : kPolicyScopes) {
    if (!ScopeWithin(narrow.*scope, wide.*scope)) return false;
  }
  return (wide.authority.required_layers & ~authority.required_layers) == 0 &&
         (wide.obligations & ~obligations) == 0 && trifecta.verdict <= wide.trifecta.verdict &&
         trusted_action.verdict <= wide.trusted_action.verdict &&
         Has(sensitive_paths, wide.sensitive_paths) && Has(secret_paths, wide.secret_paths) &&
         RulesWithin(rules, wide.rules) && window_ms.value <= wide.window_ms.value &&
         not_before_ms.value >= wide.not_before_ms.value &&
         not_after_ms.value <= wide.not_after_ms.value &&
         delegate_depth.value <= wide.delegate_depth.value &&
         TreesWithin(program_trees, wide.program_trees);
}

Policy AfterReload(const Policy& current, const Policy& wanted) {
  if (Within(wanted, current)) return wanted;
  if (Within(current, wanted)) return current;
  Policy both = Meet(current, wanted);
  for (Scope Policy::* scope : kPolicyScopes) DropIdle(both.*scope);
  return both;
}

}  // namespace krux::policy
