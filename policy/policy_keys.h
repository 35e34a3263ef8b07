// Every key of a policy file, once: the reader knows no other, the JSON Schema is made of it, and
// docs/POLICY.md is checked against it.
//
//   for (const Key& key : Keys()) Print(key.table, key.name, key.help);
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace krux::policy {

enum class KeyType : uint8_t {
  kVersion,     // 1
  kPolicyName,  // a–z, 0–9, `_`, `-`
  kText,        // one line, at most 200 bytes
  kLevel,       // "never" | "low_risk" | "always"
  kDimensionList,
  kMode,        // "ask" | "deny"
  kPaths,       // list of path patterns, or "any"
  kPathList,    // list of path patterns that take something away: there is no "any"
  kSecretList,  // list of paths, with everything beneath them
  kNames,       // list of name patterns, or "any"
  kNameList,
  kCommands,  // list of lists of words, or "any"
  kCommandList,
  kHosts,  // list of host:port patterns, or "any"
  kHostList,
  kUrls,  // list of whole URLs
  kRefs,  // list of ref patterns, or "any"
  kRefList,
  kTrees,   // list of absolute paths
  kLayers,  // list of layers
  kCount,
  kDuration,  // "2h", "1h30m", "90s", "500ms"
  kBytes,     // 1048576, "64MiB"
  kMoney,     // "5.00"
  kTime,      // 2026-01-31T09:00:00Z
  kDepth,     // 0 to 255
  kPattern,   // one name pattern
  kExpression,
  kRuleVerdict,  // "deny" | "ask"
};

struct Key {
  std::string_view table;  // "" for the top of the file
  std::string_view name;
  KeyType type;
  std::string_view help;
};

// In the order of docs/POLICY.md; the sixteen keys of [levels] among them.
std::span<const Key> Keys();
// The tables, in the same order, without "".
std::span<const std::string_view> Tables();
constexpr std::string_view kRuleTable = "rule";  // an array of tables

}  // namespace krux::policy
