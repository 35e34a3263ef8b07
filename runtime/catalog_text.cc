#include "runtime/catalog_text.h"

#include <fmt/format.h>

#include "runtime/catalog.h"

namespace krux::runtime {
namespace {

// A string in JSON. The catalog holds no controls; quotes and backslashes are all there is to
// escape.
std::string Json(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string ArgSchema(const Arg& arg) {
  const std::string help = Json(arg.help);
  switch (arg.type) {
    case ArgType::kPath:
      return fmt::format(R"({{"type":"string","pattern":"^/","maxLength":{},"description":{}}})",
                         arg.max, help);
    case ArgType::kText:
      return fmt::format(R"({{"type":"string","maxLength":{},"description":{}}})", arg.max, help);
    case ArgType::kUint:
      return fmt::format(
          R"({{"type":"integer","minimum":0,"maximum":{},"default":{},"description":{}}})", arg.max,
          arg.default_value, help);
    case ArgType::kTextList:
      return fmt::format(
          R"({{"type":"array","items":{{"type":"string"}},"minItems":{},"maxItems":{},"description":{}}})",
          arg.required ? 1 : 0, arg.max, help);
    case ArgType::kContent:
      return fmt::format(R"({{"type":"string","description":{}}})", help);
    case ArgType::kExpect:
      return fmt::format(
          R"({{"type":"string","pattern":"^(absent|[0-9a-f]{{64}})$","description":{}}})", help);
  }
  return "{}";
}

std::string TypeName(const Arg& arg) {
  switch (arg.type) {
    case ArgType::kPath:
      return "path";
    case ArgType::kText:
      return "text";
    case ArgType::kUint:
      return fmt::format("number, 0 to {}", arg.max);
    case ArgType::kTextList:
      return fmt::format("list of at most {} texts", arg.max);
    case ArgType::kContent:
      return fmt::format("bytes or text, at most {}; up to {} as descriptor", arg.max,
                         sandbox::kMaxInputBytes);
    case ArgType::kExpect:
      return "`absent` or 64 hex digits";
  }
  return "";
}

std::string OneCapability(const Capability& capability) {
  std::string text = fmt::format(
      "\n## {}\n\n{}. Dimension `{}`, risk `{}`.\n\nUse it when {}. Not for: {}.\n\n"
      "| argument | type | default | meaning |\n|---|---|---|---|\n",
      capability.name, capability.summary, policy::Name(capability.dimension),
      policy::Name(capability.risk), capability.use_when, capability.not_for);
  for (const Arg& arg : capability.args) {
    std::string fallback = "–";
    if (arg.required)
      fallback = "required";
    else if (arg.type == ArgType::kUint)
      fallback = std::to_string(arg.default_value);
    text += fmt::format("| `{}` | {} | {} | {} |\n", arg.name, TypeName(arg), fallback, arg.help);
  }
  if (!capability.notes.empty()) text += fmt::format("\n{}\n", capability.notes);
  return text;
}

}  // namespace

std::string ArgsSchema(const Capability& capability) {
  std::string properties, required;
  for (const Arg& arg : capability.args) {
    properties +=
        fmt::format("{}{}:{}", properties.empty() ? "" : ",", Json(arg.name), ArgSchema(arg));
    if (arg.required) required += (required.empty() ? "" : ",") + Json(arg.name);
  }
  return fmt::format(
      R"({{"$schema":"https://json-schema.org/draft/2020-12/schema","title":{},"description":{},"type":"object",)"
      R"("properties":{{{}}},"required":[{}],"additionalProperties":false}})",
      Json(capability.name), Json(capability.summary), properties, required);
}

std::string CatalogMarkdown() {
  std::string text =
      "# Capabilities\n\n"
      "What an agent can ask krux for. Generated from `runtime/catalog.cc` by `krux-catalog-doc`; "
      "a test\n"
      "holds this page and the table together. An argument that is not listed here is an error "
      "(exit 65),\n"
      "paths are absolute and made canonical before anything looks at them.\n";
  for (const Capability& capability : Catalog()) text += OneCapability(capability);
  return text;
}

}  // namespace krux::runtime
