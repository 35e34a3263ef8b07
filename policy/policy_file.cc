#include "policy/policy_file.h"

#include <algorithm>
#include <array>

#include "base/path.h"
#include "policy/nearest.h"
#include "policy/policy_text.h"
#include "policy/profiles.h"

namespace krux::policy {
namespace {

// What the profiles extend. It grants all there is, so nobody may name it as a profile.
constexpr std::string_view kBase = "base";

// In the order of their bits.
constexpr auto kLayerNames = std::to_array<std::string_view>(
    {"user", "mount", "pid", "net", "uts", "ipc", "cgroupns", "cgroup", "seccomp", "landlock",
     "nftables", "caps", "no_new_privs", "fds", "rlimits"});

bool Within(std::string_view tree, std::string_view path) {
  return krux_path_within(tree.data(), tree.size(), path.data(), path.size());
}

// The trees that lie in one of `a` and in one of `b`.
std::vector<std::string> MeetTrees(const std::vector<std::string>& a,
                                   const std::vector<std::string>& b) {
  std::vector<std::string> both;
  const auto add = [&both](const std::string& tree) {
    if (std::ranges::find(both, tree) == both.end()) both.push_back(tree);
  };
  for (const std::string& x : a) {
    for (const std::string& y : b) {
      if (Within(x, y)) {
        add(y);
      } else if (Within(y, x)) {
        add(x);
      }
    }
  }
  return both;
}

Authority MeetAuthority(const Authority& a, const Authority& b) {
  Authority both;
  for (int i = 0; i < kDimensions; ++i) {
    const Authority& lower = a.levels[i] < b.levels[i] ? a : b;
    both.levels[i] = lower.levels[i];
    both.level_rules[i] = lower.level_rules[i];
  }
  both.required_layers = a.required_layers | b.required_layers;
  both.isolation_rule = b.isolation_rule.empty() ? a.isolation_rule : b.isolation_rule;
  return both;
}

void MeetObligations(const Policy& a, const Policy& b, Policy& both) {
  both.obligations = a.obligations | b.obligations;
  for (int i = 0; i < kDimensions; ++i) {
    both.obligation_rules[i] =
        b.obligation_rules[i].empty() ? a.obligation_rules[i] : b.obligation_rules[i];
  }
}

// Where both say the same, the second is named: the policy, not its ceiling.
Mode Lower(const Mode& a, const Mode& b) { return a.verdict < b.verdict ? a : b; }
Bound Least(const Bound& a, const Bound& b) { return a.value < b.value ? a : b; }

bool Same(const Pattern& a, const Pattern& b) { return a.rule == b.rule && a.parts == b.parts; }
bool Same(const Rule& a, const Rule& b) {
  return a.rule == b.rule && a.when.parts == b.when.parts && a.condition == b.condition &&
         a.then == b.then;
}

// Those of `a` that `b` has not, then `b`.
template <typename T>
std::vector<T> Union(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> both;
  for (const T& item : a) {
    const auto same = [&](const T& other) { return Same(item, other); };
    if (std::ranges::none_of(b, same)) both.push_back(item);
  }
  both.insert(both.end(), b.begin(), b.end());
  return both;
}

}  // namespace

Policy Meet(const Policy& ceiling, const Policy& policy) {
  Policy both;
  both.name = policy.name;
  both.about = policy.about;
  both.authority = MeetAuthority(ceiling.authority, policy.authority);
  MeetObligations(ceiling, policy, both);
  both.trifecta = Lower(ceiling.trifecta, policy.trifecta);
  both.trusted_action = Lower(ceiling.trusted_action, policy.trusted_action);
  for (Scope Policy::* scope : kPolicyScopes) both.*scope = Meet(ceiling.*scope, policy.*scope);
  both.sensitive_paths = Union(ceiling.sensitive_paths, policy.sensitive_paths);
  both.secret_paths = UniteSecrets(ceiling.secret_paths, policy.secret_paths);
  both.rules = Union(ceiling.rules, policy.rules);
  for (int i = 0; i < kBudgets; ++i) both.budget[i] = Least(ceiling.budget[i], policy.budget[i]);
  both.window_ms = Least(ceiling.window_ms, policy.window_ms);
  both.not_before_ms = policy.not_before_ms.value >= ceiling.not_before_ms.value
                           ? policy.not_before_ms
                           : ceiling.not_before_ms;
  both.not_after_ms = Least(ceiling.not_after_ms, policy.not_after_ms);
  both.delegate_depth = Least(ceiling.delegate_depth, policy.delegate_depth);
  both.bound = ceiling.bound && policy.bound;
  both.program_trees = MeetTrees(ceiling.program_trees, policy.program_trees);
  both.text = JoinTexts(ceiling.text, policy.text);
  return both;
}

Policy ForWork(Policy policy, std::string_view work) {
  if (policy.bound) return policy;
  policy.bound = true;
  policy.read_paths = ForWork(policy.read_paths, work);
  policy.write_paths = ForWork(policy.write_paths, work);
  policy.public_paths = ForWork(policy.public_paths, work);
  policy.sensitive_paths = ForWork(std::move(policy.sensitive_paths), work);
  policy.secret_paths = SecretsForWork(policy.secret_paths, work);
  return policy;
}

std::span<const std::string_view> ProfileNames() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> found;
    for (const EmbeddedProfile& profile : EmbeddedProfiles()) {
      if (profile.name != kBase) found.push_back(profile.name);
    }
    return found;
  }();
  return names;
}

std::string_view ProfileText(std::string_view name) {
  for (const EmbeddedProfile& profile : EmbeddedProfiles()) {
    if (profile.name == name && name != kBase) return profile.text;
  }
  return {};
}

Result<Policy> FindProfile(std::string_view name) {
  const std::string_view text = ProfileText(name);
  if (!text.empty()) return ParsePolicy(text, name);
  std::string known;
  for (const std::string_view profile : ProfileNames()) {
    known += (known.empty() ? "; the profiles are `" : ", `") + std::string(profile) + "`";
  }
  return Fail(
      ExitCode::kConfig, "policy",
      "unknown profile `" + std::string(name) + "`" + DidYouMean(name, ProfileNames(), known));
}

std::span<const std::string_view> LayerNames() { return kLayerNames; }

uint32_t LayerBit(std::string_view name) {
  const auto found = std::ranges::find(kLayerNames, name);
  return found == kLayerNames.end() ? 0 : 1u << (found - kLayerNames.begin());
}

}  // namespace krux::policy
