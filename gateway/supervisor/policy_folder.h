// The operator's policy files: `policies/*.toml` beside krux.toml. Whoever writes there decides
// what agents may do, so folder and files must belong to root or the caller and be closed to the
// writing of others, and a file is a regular file, no link.
//
//   std::vector<policy::PolicySource> files = KRUX_TRY(ReadPolicyFolder("/etc/krux/policies"));
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "policy/policy_set.h"

namespace krux::gateway {

// Where the policies of the operator whose configuration is `config_file` are.
std::string PolicyFolder(const std::string& config_file);

// Every file whose name ends in `.toml` and does not begin with a dot; other names are of no
// interest. A folder that is absent holds none. kConfig, naming the file, for a folder or file that
// others could have written, a link, a pipe or device, more than policy::kMaxPolicyFiles files,
// more than policy::kMaxPolicyBytes in one or kMaxPolicyParcel in all, and bytes that are no UTF-8.
// A file that changes while it is read is read again, a few times.
Result<std::vector<policy::PolicySource>> ReadPolicyFolder(const std::string& folder);

}  // namespace krux::gateway
