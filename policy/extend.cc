// `extends`: a chain of files, each of which can only take away from what it extends.
#include <algorithm>
#include <optional>

#include "policy/nearest.h"
#include "policy/policy_reader.h"
#include "policy/policy_text.h"
#include "policy/profiles.h"

namespace krux::policy {
namespace {

constexpr size_t kMaxChain = 8;

// "team.toml:4 levels.run_exec" → "team.toml:4: `levels.run_exec`"
std::string Subject(const std::string& rule) {
  const size_t blank = rule.rfind(' ');
  if (blank == std::string::npos) return rule;
  return rule.substr(0, blank) + ": `" + rule.substr(blank + 1) + "`";
}

std::unexpected<Error> Widens(const std::string& rule, const std::string& does,
                              const Policy& parent, const std::string& parent_rule) {
  return Fail(ExitCode::kConfig, "policy",
              Subject(rule) + " " + does + " than `" + parent.name +
                  "`, which this file extends (" + parent_rule +
                  "); a file can only take away: lower it, or extend something else");
}

Result<void> CheckLevels(const Policy& parent, const Policy& child) {
  for (int i = 0; i < kDimensions; ++i) {
    if (child.authority.levels[i] <= parent.authority.levels[i]) continue;
    return Widens(child.authority.level_rules[i],
                  std::string("is `") + Name(child.authority.levels[i]) + "`: more", parent,
                  parent.authority.level_rules[i]);
  }
  return {};
}

Result<void> CheckScopes(const Policy& parent, const Policy& child) {
  for (Scope Policy::* scope : kPolicyScopes) {
    for (const Clause& wide : (parent.*scope).clauses) {
      const Pattern* outside = FirstOutside(wide, (child.*scope).clauses.at(0));
      if (outside != nullptr)
        return Widens(outside->rule, "has `" + outside->text + "`: more", parent, wide.rule);
    }
  }
  return {};
}

Result<void> CheckBounds(const Policy& parent, const Policy& child) {
  const auto check = [&](const Bound& wide, const Bound& narrow, bool grows) -> Result<void> {
    if (!grows) return {};
    return Widens(narrow.rule, "is more", parent, wide.rule);
  };
  const auto least = [&](const Bound& wide, const Bound& narrow) {
    return check(wide, narrow, narrow.value > wide.value && narrow.value != kUnlimited);
  };
  for (int i = 0; i < kBudgets; ++i) KRUX_TRY(least(parent.budget[i], child.budget[i]));
  KRUX_TRY(least(parent.window_ms, child.window_ms));
  KRUX_TRY(least(parent.not_after_ms, child.not_after_ms));
  KRUX_TRY(least(parent.delegate_depth, child.delegate_depth));
  const Bound &wide = parent.not_before_ms, &narrow = child.not_before_ms;
  return check(wide, narrow, narrow.value < wide.value && narrow.value != 0);
}

// The first line of `child` that asks for more than `parent` has.
Result<void> CheckTightens(const Policy& parent, const OneFile& one) {
  const Policy& child = one.policy;
  KRUX_TRY(CheckLevels(parent, child));
  KRUX_TRY(CheckScopes(parent, child));
  KRUX_TRY(CheckBounds(parent, child));
  if (one.sets_trifecta && child.trifecta.verdict > parent.trifecta.verdict)
    return Widens(child.trifecta.rule, "is more", parent, parent.trifecta.rule);
  if (one.sets_trusted_action && child.trusted_action.verdict > parent.trusted_action.verdict)
    return Widens(child.trusted_action.rule, "is more", parent, parent.trusted_action.rule);
  return {};
}

struct Found {
  std::string_view file, text;
};

std::optional<Found> Find(std::string_view name, Sources others) {
  for (const EmbeddedProfile& shipped : EmbeddedProfiles())
    if (shipped.name == name) return Found{shipped.name, shipped.text};
  for (const PolicySource& other : others)
    if (other.name == name) return Found{other.file, other.text};
  return std::nullopt;
}

std::string NotFound(std::string_view name, Sources others) {
  std::vector<std::string_view> known;
  for (const EmbeddedProfile& shipped : EmbeddedProfiles()) known.push_back(shipped.name);
  for (const PolicySource& other : others) known.push_back(other.name);
  return "no policy is called `" + std::string(name) + "`" +
         DidYouMean(name, known, "; krux policy ls lists them");
}

// `chain`: the names from the file that was asked for down to this one.
Result<Policy> Load(std::string_view text, std::string_view file, Sources others,
                    std::vector<std::string>& chain) {
  OneFile one = KRUX_TRY(ReadOneFile(text, file));
  chain.push_back(one.policy.name);
  if (one.extends.empty()) return std::move(one.policy);
  const auto wrong = [&](std::string why) {
    return Fail(ExitCode::kConfig, "policy", one.extends_place + std::move(why));
  };
  if (std::ranges::find(chain, one.extends) != chain.end()) {
    std::string circle;
    for (const std::string& name : chain) circle += "`" + name + "` → ";
    return wrong("`extends` goes in a circle: " + circle + "`" + one.extends + "`");
  }
  if (chain.size() == kMaxChain) return wrong("`extends` is a chain of more than 8 files");
  const std::optional<Found> found = Find(one.extends, others);
  if (!found) return wrong(NotFound(one.extends, others));
  const Policy parent = KRUX_TRY(Load(found->text, found->file, others, chain));
  if (parent.name != one.extends) {
    return wrong("`" + std::string(found->file) + "` calls itself `" + parent.name +
                 "`; give file and policy the same name");
  }
  KRUX_TRY(CheckTightens(parent, one));
  if (!one.has_trees) one.policy.program_trees = parent.program_trees;
  return Meet(parent, one.policy);
}

}  // namespace

Result<Policy> ParsePolicy(std::string_view text, std::string_view file, Sources others) {
  std::vector<std::string> chain;
  Policy policy = KRUX_TRY(Load(text, file, others, chain));
  // Only together with what it extends can "any" mean some of them.
  for (const Clause& clause : policy.exact_urls.clauses) {
    if (clause.any && policy.exact_urls.clauses.size() == 1) {
      return Fail(ExitCode::kConfig, "policy",
                  Subject(clause.rule) +
                      " must list whole URLs; \"any\" would let every request "
                      "pass for harmless");
    }
  }
  return policy;
}

Result<Policy> PolicyFromText(std::string_view text) {
  const std::vector<PolicyPiece> pieces = KRUX_TRY(Pieces(text));
  if (pieces.empty()) return Fail(ExitCode::kConfig, "policy", "the stored policy is empty");
  // Meet is associative, and a parent's text stands there by itself: no chain to follow.
  std::optional<Policy> all;
  std::optional<std::vector<std::string>> trees;
  for (const PolicyPiece& piece : pieces) {
    OneFile one = KRUX_TRY(ReadOneFile(piece.text, piece.file));
    const bool own_trees = one.has_trees || one.extends.empty();
    if (!own_trees && trees) one.policy.program_trees = *trees;
    // Until a file says so itself, there are no trees to meet.
    if (own_trees && all && !trees) all->program_trees = one.policy.program_trees;
    all = all ? Meet(*all, one.policy) : std::move(one.policy);
    if (own_trees || trees) trees = all->program_trees;
  }
  all->text = std::string(text);
  return std::move(*all);
}

}  // namespace krux::policy
