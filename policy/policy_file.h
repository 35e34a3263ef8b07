// Policy files: TOML text into a Policy. One syntax, strict: an unknown key, a wrong type or a
// duplicate is an error with file, line and column. No system call: the caller reads the file.
//
//   Policy profile = KRUX_TRY(FindProfile("read_only"));
//   Policy mine = KRUX_TRY(ParsePolicy(text, "team.toml"));   // extends: meets what it extends
//   Policy effective = Meet(ceiling, mine);                   // never more than either
//   Policy again = KRUX_TRY(PolicyFromText(effective.text));  // equal to `effective`
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/decide.h"
#include "policy/match.h"
#include "policy/rule.h"
#include "policy/secret.h"

namespace krux::policy {

inline constexpr size_t kMaxPolicyBytes = 256 * 1024;

// A limit that no file sets.
inline constexpr uint64_t kUnlimited = UINT64_MAX;

// A number and the line that set it: "read_only:31 budget.calls", or "… not set = …".
struct Bound {
  uint64_t value = 0;
  std::string rule;
};

// What a call does about the legs of exposure that meet: ask or deny, never allow.
struct Mode {
  Verdict verdict = Verdict::kAsk;
  std::string rule;
};

// What a policy grants, apart from scopes, with the lines that say so.
struct Authority {
  Level levels[kDimensions] = {};  // default: never
  std::string
      level_rules[kDimensions];  // "read_only:9 levels.read_files", or "…: unlisted = never"
  uint32_t required_layers = 0;  // isolation.require, bits of sandbox::Layer
  std::string isolation_rule;    // "read_only:23 isolation.require", empty where not set
};

struct Policy {
  std::string name;
  std::string about;  // for people
  Authority authority;
  Scope capabilities;  // [capabilities] allow; absent = any name of a granted dimension

  // [approve] always: the dimensions whose every call asks, bit 1 << Dimension.
  uint16_t obligations = 0;
  std::string obligation_rules[kDimensions];  // empty where the bit is clear

  // [exposure]
  Mode trifecta;        // the three legs meet in a sink
  Mode trusted_action;  // untrusted content would drive something consequential

  // Every other scope grants nothing where its key is absent.
  Scope read_paths;    // [paths] read
  Scope write_paths;   // [paths] write
  Scope public_paths;  // [paths] public: reading them adds no leg
  Scope exec;          // [exec] allow
  Scope hosts;         // [net] allow
  Scope exact_urls;    // [net] exact: whole URLs, whose GET is no sink
  Scope refs;          // [git] refs
  Scope secret_names;  // [secrets] allow
  Scope mcp_tools;     // [mcp] allow
  // These two take away, so a meet is their union.
  std::vector<Pattern> sensitive_paths;  // [paths] sensitive: risk is at least elevated
  std::vector<Pattern>
      secret_paths;  // [paths] secret, by CompileSecret: nobody reads or writes them

  std::vector<Rule> rules;  // [[rule]]: each can only lower a verdict

  // [budget], in the order of BudgetNames().
  Bound budget[kBudgets] = {{kUnlimited, ""}, {kUnlimited, ""}, {kUnlimited, ""}, {kUnlimited, ""},
                            {kUnlimited, ""}, {kUnlimited, ""}, {kUnlimited, ""}, {kUnlimited, ""}};
  // [window]. The length runs from the opening of a session; the other two are wall time in ms.
  Bound window_ms{kUnlimited, ""};
  Bound not_before_ms{0, ""};
  Bound not_after_ms{kUnlimited, ""};
  Bound delegate_depth{0, ""};  // [delegate] depth, at most 255

  // Read-only trees and files that programs see next to WORK; data, no authority of its own.
  std::vector<std::string> program_trees;
  bool bound = false;  // to a WORK, by ForWork; what is bound stays as it is
  // Every file this policy was made of, each once, with its name and length: what is hashed and
  // stored.
  std::string text;
};

// Every scope of a policy: what meets, compares or checks policies goes through all of them.
inline constexpr Scope Policy::* kPolicyScopes[] = {
    &Policy::capabilities, &Policy::read_paths, &Policy::write_paths, &Policy::public_paths,
    &Policy::exec,         &Policy::hosts,      &Policy::exact_urls,  &Policy::refs,
    &Policy::secret_names, &Policy::mcp_tools};

// A file that `extends` may name, beside the shipped ones: an operator's own.
struct PolicySource {
  std::string name;  // as the file itself says
  std::string file;  // for rules and errors: "team.toml"
  std::string text;
};
using Sources = std::span<const PolicySource>;

// `file` names the text in rules and errors, e.g. "team.toml". `extends` finds shipped policies
// first, then `others`.
Result<Policy> ParsePolicy(std::string_view text, std::string_view file, Sources others = {});

// The policy that Policy::text was the text of: rebuilt from what the log stores.
Result<Policy> PolicyFromText(std::string_view text);

// A shipped profile; unknown names are kConfig with the nearest name.
Result<Policy> FindProfile(std::string_view name);
std::span<const std::string_view> ProfileNames();
// The TOML text of a shipped profile, empty if there is none.
std::string_view ProfileText(std::string_view name);

// Everything both allow, and nothing else. The name is `policy`'s.
Policy Meet(const Policy& ceiling, const Policy& policy);

// The policy of a session whose WORK is `work` (canonical).
Policy ForWork(Policy policy, std::string_view work);

// The bit of a layer name in Authority::required_layers, 0 if there is no such layer. The numbers
// are those of sandbox::Layer (held together by tests/runtime/plan_test.cc).
uint32_t LayerBit(std::string_view name);
std::span<const std::string_view> LayerNames();

}  // namespace krux::policy
