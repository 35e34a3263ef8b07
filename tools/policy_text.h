// A policy in words: what a session under it may do, for a person who knows no lattices, and the
// same as data.
//
//   puts(PolicyInWords(policy).c_str());
//   out.Value(PolicyAsData(policy));
#pragma once

#include <string>

#include "base/cbor_value.h"
#include "policy/policy_file.h"

namespace krux::tools {

// Lines of at most 100 columns.
std::string PolicyInWords(const policy::Policy& policy);
// schema krux.policy/1: every field, with the line of the file that set it.
cbor::Map PolicyAsData(const policy::Policy& policy);

}  // namespace krux::tools
