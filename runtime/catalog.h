// The capability catalog: what a call is. One table; the binder, JSON Schema, `krux cap`, --help,
// docs/CATALOG.md and the SDK are generated from it.
//
//   const Capability* cap = runtime::FindCapability("fs.read");
//   cbor::Map args = KRUX_TRY(runtime::Bind(*cap, arguments));   // typed, defaults filled in
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/cbor_value.h"
#include "policy/decide.h"
#include "sandbox/spec.h"

namespace krux::runtime {

enum class ArgType : uint8_t { kPath, kText, kUint, kTextList, kBytes };

struct Arg {
  std::string_view name;
  ArgType type;
  bool required;
  uint64_t max;            // bytes for text and paths, value for numbers, items for lists
  uint64_t default_value;  // numbers only
  std::string_view help;
};

struct Capability {
  std::string_view name;  // "fs.read"
  std::string_view summary;
  std::string_view use_when;
  std::string_view not_for;
  std::span<const Arg>
      args;  // required ones first: positional words of `krux call` fill them in order
  policy::Dimension dimension;
  policy::Risk risk;
  sandbox::WorkClass work_class;
};

std::span<const Capability> Catalog();
// Exact, case-sensitive; null when there is none.
const Capability* FindCapability(std::string_view name);
// The nearest name for a message, empty when nothing is near.
std::string_view SuggestCapability(std::string_view name);

// Checks `args` against the catalog: unknown, missing, mistyped, oversized arguments are kBadData;
// paths are absolute, made canonical (base/path.h) and free of NUL. Missing optional ones get
// defaults.
Result<cbor::Map> Bind(const Capability& capability, const cbor::Value& args);

// JSON Schema (2020-12) of the arguments, as text.
std::string ArgsSchema(const Capability& capability);

}  // namespace krux::runtime
