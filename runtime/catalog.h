// The capability catalog: what a call is. One table; the binder, JSON Schema, `krux cap`, --help,
// docs/CATALOG.md and the SDK are generated from it.
//
//   const Capability* cap = runtime::FindCapability("fs.read");
//   cbor::Map args = KRUX_TRY(runtime::Bind(*cap, arguments));   // typed, defaults filled in
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/cbor_value.h"
#include "policy/decide.h"
#include "sandbox/spec.h"

namespace krux::runtime {

enum class ArgType : uint8_t {
  kPath,
  kText,
  kUint,
  kTextList,
  kContent,  // the bulk of a call: bytes or text, or what came as its descriptor. At most one a
             // call
  kExpect,   // "absent" or a SHA-256 in lower-case hex: what a file must be for the call to go on
};

struct Arg {
  std::string_view name;
  ArgType type;
  bool required;
  uint64_t max;            // bytes for text and paths, value for numbers, items for lists
  uint64_t default_value;  // numbers only
  std::string_view help;
  bool identity = false;  // names whom or what the call is about: what an operator can endorse
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
  std::string_view notes = {};  // for docs/CATALOG.md: what else one has to know, paragraphs
  // Legs of exposure that every such call brings, besides those of the files it may read:
  // kUntrustedContent for what comes from elsewhere, kExfilVector for a way out.
  policy::Exposure brings = 0;
};

std::span<const Capability> Catalog();
// Exact, case-sensitive; null when there is none.
const Capability* FindCapability(std::string_view name);
// The nearest name for a message, empty when nothing is near.
std::string_view SuggestCapability(std::string_view name);

// The kContent argument of a capability; null where it takes none.
const Arg* ContentOf(const Capability& capability);

// What came with a call as a sealed memfd.
struct Input {
  uint64_t bytes = 0;
  cbor::Bytes sha256;
};

// Checks `args` against the catalog: unknown, missing, mistyped, oversized arguments are kBadData;
// paths are absolute, made canonical (base/path.h) and free of NUL. Missing optional ones get
// defaults. Content is bytes, or, where it came as `input`, {"bytes", "sha256"}.
Result<cbor::Map> Bind(const Capability& capability, const cbor::Value& args,
                       const Input* input = nullptr);

// JSON Schema (2020-12) of the arguments, as text.
std::string ArgsSchema(const Capability& capability);

}  // namespace krux::runtime
