#include "policy/schema.h"

#include "policy/policy_file.h"
#include "policy/policy_keys.h"

namespace krux::policy {
namespace {

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string Enum(std::span<const std::string_view> names) {
  std::string list;
  for (const std::string_view name : names) list += (list.empty() ? "" : ", ") + Quoted(name);
  return "\"enum\": [" + list + "]";
}

std::string ListOf(const std::string& item) {
  return R"("type": "array", "items": {)" + item + "}";
}

// A list, or the word any.
std::string OrAny(const std::string& list) {
  return R"("anyOf": [{"const": "any"}, {)" + list + "}]";
}

constexpr const char* kText = R"("type": "string", "minLength": 1)";
constexpr const char* kWhole = R"("type": "integer", "minimum": 0)";

// The members of the schema of one type of key, without its braces.
std::string TypeSchema(KeyType type) {
  const std::string words =
      ListOf(R"("type": "array", "minItems": 1, "items": {"type": "string"})");
  switch (type) {
    case KeyType::kVersion:
      return R"("const": 1)";
    case KeyType::kPolicyName:
      return R"("type": "string", "pattern": "^[a-z0-9_-]{1,64}$")";
    case KeyType::kText:
      return R"("type": "string", "maxLength": 200)";
    case KeyType::kLevel:
      return Enum(LevelNames());
    case KeyType::kDimensionList:
      return ListOf(Enum(DimensionNames()));
    case KeyType::kMode:
    case KeyType::kRuleVerdict:
      return R"("enum": ["deny", "ask"])";
    case KeyType::kPaths:
    case KeyType::kNames:
    case KeyType::kHosts:
    case KeyType::kUrls:
    case KeyType::kRefs:
      return OrAny(ListOf(kText));
    case KeyType::kCommands:
      return OrAny(words);
    case KeyType::kCommandList:
      return words;
    case KeyType::kPathList:
    case KeyType::kSecretList:
    case KeyType::kNameList:
    case KeyType::kHostList:
    case KeyType::kRefList:
    case KeyType::kTrees:
      return ListOf(kText);
    case KeyType::kLayers:
      return ListOf(Enum(LayerNames()));
    case KeyType::kCount:
      return kWhole;
    case KeyType::kDuration:
      return R"("type": "string", "pattern": "^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$", "minLength": 2)";
    case KeyType::kBytes:
      return R"("anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+([kMGT]|[KMGT]i)?B$"}])";
    case KeyType::kMoney:
      return R"("type": "string", "pattern": "^[0-9]+([.][0-9]{1,6})?$")";
    case KeyType::kTime:
      return R"("type": "string", "format": "date-time")";
    case KeyType::kDepth:
      return R"("type": "integer", "minimum": 0, "maximum": 255)";
    case KeyType::kPattern:
    case KeyType::kExpression:
      return kText;
  }
  return kText;
}

std::string Properties(std::string_view table, const char* indent) {
  std::string text;
  for (const Key& key : Keys()) {
    if (key.table != table) continue;
    text += (text.empty() ? "" : ",\n") + std::string(indent) + Quoted(key.name) + ": {" +
            TypeSchema(key.type) + ", \"description\": " + Quoted(key.help) + "}";
  }
  return text;
}

std::string Table(std::string_view table) {
  const bool rule = table == kRuleTable;
  std::string text = R"("type": "object", "additionalProperties": false, )";
  if (rule) text += R"("required": ["when", "then"], )";
  text += "\"properties\": {\n" + Properties(table, "      ") + "}";
  return rule ? ListOf(text) : text;
}

}  // namespace

std::string PolicySchema() {
  std::string text = R"({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "krux policy file, version 1",
  "type": "object",
  "additionalProperties": false,
  "required": ["krux", "name"],
  "properties": {
)" + Properties("", "    ");
  for (const std::string_view table : Tables())
    text += ",\n    " + Quoted(table) + ": {" + Table(table) + "}";
  return text + "}\n}\n";
}

}  // namespace krux::policy
