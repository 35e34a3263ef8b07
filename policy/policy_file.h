// Policy files: TOML text into a Policy. One syntax, strict: an unknown key, a wrong type or a
// duplicate is an error with file, line and column. No system call: the caller reads the file.
//
//   Policy profile = KRUX_TRY(FindProfile("read_only"));
//   Policy mine = KRUX_TRY(ParsePolicy(text, "team.toml"));   // extends: meets what it extends
//   Policy effective = Meet(ceiling, mine);                   // never more than either
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/decide.h"
#include "policy/match.h"
#include "policy/secret.h"

namespace krux::policy {

inline constexpr size_t kMaxPolicyBytes = 64 * 1024;

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
  Authority authority;
  Scope capabilities;  // [capabilities] allow; absent = any name of a granted dimension
  Scope read_paths;    // [paths] read; absent = nothing
  Scope write_paths;   // [paths] write; absent = nothing
  std::vector<Pattern> secret_paths;  // [paths] secret, by CompileSecret; absent = none
  Scope exec;                         // [exec] allow; absent = nothing
  // Read-only trees and files that programs see next to WORK; data, no authority of its own.
  std::vector<std::string> program_trees;
  // Every file this policy was made of, each with its name and length: what is hashed and stored.
  std::string text;
};

// `file` names the text in rules and errors, e.g. "team.toml". `extends` finds shipped profiles.
Result<Policy> ParsePolicy(std::string_view text, std::string_view file);

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
