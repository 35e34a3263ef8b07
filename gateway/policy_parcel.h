// The operator's policy files on their way from the supervisor, which reads them, to kruxd, which
// cannot open a file: one sealed memfd that holds the CBOR map {file name → bytes}.
//
//   UniqueFd parcel = KRUX_TRY(PackPolicies(files));                    // supervisor
//   auto files = KRUX_TRY(UnpackPolicies(std::move(parcel)));           // kruxd
#pragma once

#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "policy/policy_set.h"

namespace krux::gateway {

inline constexpr size_t kMaxPolicyNameBytes = 128;           // of one file name
inline constexpr size_t kMaxPolicyParcel = 2 * 1024 * 1024;  // bytes of all files together

Result<UniqueFd> PackPolicies(const std::vector<policy::PolicySource>& files);
// kBadData for a descriptor that is no such parcel.
Result<std::vector<policy::PolicySource>> UnpackPolicies(UniqueFd parcel);

}  // namespace krux::gateway
