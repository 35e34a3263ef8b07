#include "policy/policy_file.h"

#include <algorithm>
#include <array>

#include "base/path.h"
#include "policy/nearest.h"
#include "policy/profiles.h"

namespace krux::policy {
namespace {

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

}  // namespace

Policy Meet(const Policy& ceiling, const Policy& policy) {
  if (ceiling.text == policy.text) return policy;
  Policy both;
  both.name = policy.name;
  both.authority = MeetAuthority(ceiling.authority, policy.authority);
  both.capabilities = Meet(ceiling.capabilities, policy.capabilities);
  both.read_paths = Meet(ceiling.read_paths, policy.read_paths);
  both.write_paths = Meet(ceiling.write_paths, policy.write_paths);
  both.secret_paths = UniteSecrets(ceiling.secret_paths, policy.secret_paths);
  both.exec = Meet(ceiling.exec, policy.exec);
  both.program_trees = MeetTrees(ceiling.program_trees, policy.program_trees);
  both.text = ceiling.text + policy.text;
  return both;
}

Policy ForWork(Policy policy, std::string_view work) {
  policy.read_paths = ForWork(policy.read_paths, work);
  policy.write_paths = ForWork(policy.write_paths, work);
  policy.secret_paths = SecretsForWork(policy.secret_paths, work);
  return policy;
}

std::span<const std::string_view> ProfileNames() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> found;
    for (const EmbeddedProfile& profile : EmbeddedProfiles()) found.push_back(profile.name);
    return found;
  }();
  return names;
}

std::string_view ProfileText(std::string_view name) {
  for (const EmbeddedProfile& profile : EmbeddedProfiles()) {
    if (profile.name == name) return profile.text;
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
