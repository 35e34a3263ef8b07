// One policy file by itself: TOML in, a Policy and the name of what it extends out. Extending is
// policy_file.cc's part.
//
//   OneFile one = KRUX_TRY(ReadOneFile(text, "team.toml"));
//   if (!one.extends.empty()) …
#pragma once

#include <string>
#include <string_view>

#include "policy/policy_file.h"

namespace krux::policy {

struct OneFile {
  Policy policy;
  std::string extends;        // empty: nothing
  std::string extends_place;  // "team.toml:3:11: "
  bool has_trees = false;     // [exec] program_trees is set; else they are those of what it extends
  bool sets_trifecta = false;
  bool sets_trusted_action = false;
};

Result<OneFile> ReadOneFile(std::string_view text, std::string_view file);

}  // namespace krux::policy
