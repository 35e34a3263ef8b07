// Arguments: the words of `krux call` become the argument map of a capability.
//
//   // krux call fs.read README.md limit=10
//   cbor::Map args = KRUX_TRY(BuildArguments("fs.read", {"README.md", "limit=10"}, {},
//   std::nullopt, cwd));
//
// A word `name=value` sets an argument by name, every other word fills the next required one in the
// order of the catalog, and the words after `--` are the list argument (proc.exec: argv). Paths are
// made absolute against `cwd` by spelling. Only what cannot be said to the gateway is an error here
// (kBadData); unknown names and sizes are the gateway's to judge, so that they are recorded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cbor_value.h"
#include "base/error.h"

namespace krux::tools {

Result<cbor::Map> BuildArguments(std::string_view capability, const std::vector<std::string>& words,
                                 const std::vector<std::string>& after_dashes,
                                 const std::optional<cbor::Value>& json, const std::string& cwd);

// The object that --args names: "@file", "-" for stdin, or the JSON itself.
Result<cbor::Value> ReadJsonArguments(const std::string& source);

// `path` absolute and canonical by spelling.
Result<std::string> AbsolutePath(std::string_view path, const std::string& cwd);

}  // namespace krux::tools
