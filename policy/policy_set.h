// PolicySet: every policy that a gateway knows by name: the shipped profiles and the operator's own
// files. It is read whole or not at all, so that a mistake in one file changes nothing.
//
//   PolicySet set = KRUX_TRY(PolicySet::Parse({OperatorFile("team.toml", text)}));
//   Policy team = KRUX_TRY(set.Find("team"));
//   Policy live = AfterReload(session.policy, team);   // never more than the session had
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/policy_file.h"

namespace krux::policy {

inline constexpr size_t kMaxPolicyFiles = 64;

// A file of the operator's: "team.toml" holds the policy `team`.
PolicySource OperatorFile(std::string file, std::string text);

class PolicySet {
 public:
  // The shipped profiles alone.
  PolicySet() = default;
  // kConfig with file:line:column for the first mistake, also for a file that is called otherwise
  // than its policy, or like a shipped profile.
  static Result<PolicySet> Parse(const std::vector<PolicySource>& files);

  // kConfig with the nearest name where there is none.
  Result<Policy> Find(std::string_view name) const;
  // Names of the operator's policies, sorted.
  std::vector<std::string> OperatorNames() const;
  const std::vector<PolicySource>& files() const { return files_; }

 private:
  std::vector<PolicySource> files_;                    // sorted
  std::map<std::string, Policy, std::less<>> parsed_;  // the shipped ones too
};

// Does `narrow` allow nothing that `wide` does not? Sound; no is also the answer where it cannot be
// told from the spelling.
bool Within(const Policy& narrow, const Policy& wide);

// What a session that runs under `current` may do once its profile says `wanted`: their meet, told
// without the parts that change nothing, so that the same file read again and again adds nothing.
Policy AfterReload(const Policy& current, const Policy& wanted);

}  // namespace krux::policy
