#include "policy/policy_set.h"

#include <algorithm>

#include "policy/nearest.h"

namespace krux::policy {
namespace {

constexpr std::string_view kSuffix = ".toml";

std::unexpected<Error> Wrong(const std::string& file, const std::string& why) {
  return Fail(ExitCode::kConfig, "policy", file + ":1:1: " + why);
}

Result<Policy> ParseOne(const PolicySource& file, Sources all) {
  Policy policy = KRUX_TRY(ParsePolicy(file.text, file.file, all));
  if (!ProfileText(policy.name).empty()) {
    return Wrong(file.file, "`" + policy.name +
                                "` is the name of a shipped profile; take another name, and extend "
                                "the shipped one");
  }
  if (policy.name != file.name) {
    return Wrong(file.file, "the policy `" + policy.name + "` must stand in `" + policy.name +
                                std::string(kSuffix) + "`; rename the file or the policy");
  }
  return policy;
}

}  // namespace

PolicySource OperatorFile(std::string file, std::string text) {
  std::string name = file.ends_with(kSuffix) ? file.substr(0, file.size() - kSuffix.size()) : file;
  return {std::move(name), std::move(file), std::move(text)};
}

Result<PolicySet> PolicySet::Parse(const std::vector<PolicySource>& files) {
  PolicySet set;
  set.files_ = files;
  std::ranges::sort(set.files_, {}, &PolicySource::file);
  if (files.size() > kMaxPolicyFiles) {
    return Wrong(set.files_.back().file, "there are more than 64 policy files");
  }
  for (const std::string_view name : ProfileNames())
    set.parsed_.emplace(name, KRUX_TRY(FindProfile(name)));
  for (const PolicySource& file : set.files_) {
    Policy policy = KRUX_TRY(ParseOne(file, set.files_));
    std::string name = policy.name;
    if (!set.parsed_.emplace(std::move(name), std::move(policy)).second)
      return Wrong(file.file, "there are two files of this name");
  }
  return set;
}

Result<Policy> PolicySet::Find(std::string_view name) const {
  if (parsed_.empty()) return FindProfile(name);
  const auto it = parsed_.find(name);
  if (it != parsed_.end()) return it->second;
  std::vector<std::string_view> names;
  std::string known;
  for (const auto& [each, policy] : parsed_) {
    names.push_back(each);
    known += (known.empty() ? "; the profiles are `" : ", `") + each + "`";
  }
  return Fail(ExitCode::kConfig, "policy",
              "unknown profile `" + std::string(name) + "`" + DidYouMean(name, names, known));
}

std::vector<std::string> PolicySet::OperatorNames() const {
  std::vector<std::string> names;
  for (const PolicySource& file : files_) names.push_back(file.name);
  return names;
}

}  // namespace krux::policy
