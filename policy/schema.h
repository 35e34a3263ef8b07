// The JSON Schema of policy files, made from the table of keys that the reader reads by.
//
//   puts(PolicySchema().c_str());   // what `krux policy schema` prints
#pragma once

#include <string>

namespace krux::policy {

// JSON Schema (2020-12) as text, ending in a newline.
std::string PolicySchema();

}  // namespace krux::policy
