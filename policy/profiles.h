// The shipped profiles as text, put into the library when it is built (policy/profiles.cc.in).
//
//   for (const EmbeddedProfile& profile : EmbeddedProfiles()) Print(profile.name, profile.text);
#pragma once

#include <span>
#include <string_view>

namespace krux::policy {

struct EmbeddedProfile {
  std::string_view name;
  std::string_view text;
};

std::span<const EmbeddedProfile> EmbeddedProfiles();

}  // namespace krux::policy
