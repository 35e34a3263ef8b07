// krux cap: the catalog, for people and for programs. Asks no gateway.
#include "base/terminal.h"
#include "runtime/catalog.h"
#include "tools/command.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

const char* TypeName(runtime::ArgType type) {
  switch (type) {
    case runtime::ArgType::kPath:
      return "path";
    case runtime::ArgType::kText:
      return "text";
    case runtime::ArgType::kUint:
      return "number";
    case runtime::ArgType::kTextList:
      return "words";
    case runtime::ArgType::kContent:
      return "bytes";
    case runtime::ArgType::kExpect:
      return "digest";
  }
  return "?";
}

cbor::Map ToValue(const runtime::Capability& capability) {
  cbor::Map map{{"name", capability.name},
                {"summary", capability.summary},
                {"use_when", capability.use_when},
                {"not_for", capability.not_for},
                {"dimension", policy::Name(capability.dimension)},
                {"risk", policy::Name(capability.risk)}};
  const Result<cbor::Value> schema = ParseJson(runtime::ArgsSchema(capability));
  map.Set("args", schema ? *schema : cbor::Value());
  return map;
}

}  // namespace

int RunCapLs(Format format) {
  const Output out(format);
  if (format == Format::kTable) {
    std::vector<std::vector<std::string>> rows{{"CAPABILITY", "DIMENSION", "RISK", "WHAT IT DOES"}};
    for (const runtime::Capability& capability : runtime::Catalog()) {
      rows.push_back({std::string(capability.name), policy::Name(capability.dimension),
                      policy::Name(capability.risk), std::string(capability.summary)});
    }
    out.Table(rows);
    return 0;
  }
  cbor::Array all;
  for (const runtime::Capability& capability : runtime::Catalog()) {
    if (format == Format::kJsonl) {
      out.Value(ToValue(capability));
    } else {
      all.emplace_back(ToValue(capability));
    }
  }
  if (format != Format::kJsonl) {
    out.Value(cbor::Map{{"schema", "krux.catalog/1"}, {"capabilities", std::move(all)}});
  }
  return 0;
}

int RunCapShow(const std::string& name, Format format) {
  const Output out(format);
  const runtime::Capability* capability = runtime::FindCapability(name);
  if (capability == nullptr) {
    std::string message = "no capability is called `" + EscapeLine(name) + "`; ";
    const std::string_view near = runtime::SuggestCapability(name);
    message +=
        near.empty() ? "krux cap ls lists them" : "did you mean `" + std::string(near) + "`?";
    return out.Complain({ExitCode::kNotFound, 0, "catalog", std::move(message)});
  }
  if (format != Format::kTable) {
    out.Value(ToValue(*capability));
    return 0;
  }
  std::string usage = "krux call " + std::string(capability->name);
  std::vector<std::vector<std::string>> rows{{"ARGUMENT", "TYPE", "", "WHAT IT IS"}};
  for (const runtime::Arg& arg : capability->args) {
    const std::string word(arg.name);
    if (arg.type == runtime::ArgType::kTextList) {
      usage += " -- WORD…";
    } else {
      usage += arg.required ? " " + word : " [" + word + "=…]";
    }
    rows.push_back(
        {word, TypeName(arg.type), arg.required ? "required" : "optional", std::string(arg.help)});
  }
  out.Text(std::string(capability->summary) + "\n\n  " + usage + "\n\n");
  out.Table(rows);
  out.Text("\nuse when   " + std::string(capability->use_when) + "\nnot for    " +
           std::string(capability->not_for) + "\ndimension  " +
           policy::Name(capability->dimension) + ", risk " + policy::Name(capability->risk) + "\n");
  return 0;
}

}  // namespace krux::tools
