#include "sandbox/spec.h"

namespace krux::sandbox {
namespace {

struct LayerEntry {
  Layer layer;
  const char* name;
};
constexpr LayerEntry kLayerTable[] = {
#define X(enumerator, bit, name) {Layer::enumerator, name},
    KRUX_LAYERS(X)
#undef X
};

cbor::Value RuleToValue(const PathRule& rule) {
  return cbor::Map{
      {"path", rule.path}, {"read", rule.read}, {"write", rule.write}, {"exec", rule.exec}};
}

Result<PathRule> RuleFromValue(const cbor::Value& value) {
  cbor::MapReader r(value, "path rule");
  PathRule rule;
  rule.path = r.Text("path", 4096);
  rule.read = r.Boolean("read");
  rule.write = r.Boolean("write");
  rule.exec = r.Boolean("exec");
  KRUX_TRY(r.Finish());
  if (rule.path.empty() || rule.path[0] != '/') {
    return Fail(ExitCode::kBadData, "spec", "path rule `" + rule.path + "` is not absolute");
  }
  return rule;
}

cbor::Value LimitsToValue(const Limits& l) {
  return cbor::Map{{"memory_bytes", l.memory_bytes}, {"pids", l.pids},
                   {"cpu_quota_us", l.cpu_quota_us}, {"io_bytes", l.io_bytes},
                   {"cpu_seconds", l.cpu_seconds},   {"file_bytes", l.file_bytes},
                   {"open_files", l.open_files},     {"wall_ms", l.wall_ms},
                   {"result_bytes", l.result_bytes}};
}

Result<Limits> LimitsFromValue(const cbor::Value& value) {
  cbor::MapReader r(value, "limits");
  Limits l;
  l.memory_bytes = r.Uint("memory_bytes");
  l.pids = r.Uint("pids", 1 << 20);
  l.cpu_quota_us = r.Uint("cpu_quota_us", 1'000'000'000);
  l.io_bytes = r.Uint("io_bytes");
  l.cpu_seconds = r.Uint("cpu_seconds", 1'000'000);
  l.file_bytes = r.Uint("file_bytes");
  l.open_files = r.Uint("open_files", 1 << 20);
  l.wall_ms = r.Uint("wall_ms", 86'400'000);
  l.result_bytes = r.Uint("result_bytes", 64ull << 20);
  KRUX_TRY(r.Finish());
  return l;
}

constexpr uint64_t kLastClass = kWorkClasses - 1;

}  // namespace

const char* Name(Layer layer) {
  for (const LayerEntry& entry : kLayerTable) {
    if (entry.layer == layer) return entry.name;
  }
  return "unknown";
}

Result<Layer> LayerFromName(std::string_view name) {
  std::string names;
  for (const LayerEntry& entry : kLayerTable) {
    if (name == entry.name) return entry.layer;
    if (!names.empty()) names += ", ";
    names += entry.name;
  }
  return Fail(ExitCode::kConfig, "layer",
              "unknown layer `" + std::string(name) + "`; layers are " + names);
}

cbor::Value ToValue(const Spec& spec) {
  cbor::Array rules;
  for (const PathRule& rule : spec.landlock) rules.push_back(RuleToValue(rule));
  return cbor::Map{
      {"call_id", spec.call_id},        {"session_id", spec.session_id},
      {"generation", spec.generation},  {"work_class", static_cast<unsigned>(spec.work_class)},
      {"landlock", std::move(rules)},   {"limits", LimitsToValue(spec.limits)},
      {"required", spec.required},      {"degraded", spec.degraded},
      {"request", spec.request},        {"has_input", spec.has_input},
      {"input_bytes", spec.input_bytes}};
}

Result<Spec> SpecFromValue(const cbor::Value& value) {
  cbor::MapReader r(value, "spec");
  Spec spec;
  spec.call_id = r.Fixed("call_id", 16);
  spec.session_id = r.Fixed("session_id", 16);
  spec.generation = r.Uint("generation");
  spec.work_class = static_cast<WorkClass>(r.Uint("work_class", kLastClass));
  const cbor::Array rules = r.List("landlock", 64);
  const cbor::Value limits = r.Any("limits");
  spec.required = static_cast<LayerMask>(r.Uint("required", kAllLayers));
  spec.degraded = static_cast<LayerMask>(r.Uint("degraded", kAllLayers));
  spec.request = r.ByteString("request");
  spec.has_input = r.Boolean("has_input");
  spec.input_bytes = r.Uint("input_bytes", kMaxInputBytes);
  KRUX_TRY(r.Finish());
  for (const cbor::Value& rule : rules) spec.landlock.push_back(KRUX_TRY(RuleFromValue(rule)));
  spec.limits = KRUX_TRY(LimitsFromValue(limits));
  return spec;
}

cbor::Value ToValue(const TemplateSpec& spec) {
  cbor::Array trees;
  for (const std::string& tree : spec.program_trees) trees.emplace_back(tree);
  return cbor::Map{{"session_id", spec.session_id},
                   {"generation", spec.generation},
                   {"work_class", static_cast<unsigned>(spec.work_class)},
                   {"work_writable", spec.work_writable},
                   {"work_exec", spec.work_exec},
                   {"program_trees", std::move(trees)},
                   {"secrets", spec.secrets},
                   {"tmp_bytes", spec.tmp_bytes},
                   {"tmp_inodes", spec.tmp_inodes}};
}

Result<TemplateSpec> TemplateSpecFromValue(const cbor::Value& value) {
  cbor::MapReader r(value, "template");
  TemplateSpec spec;
  spec.session_id = r.Fixed("session_id", 16);
  spec.generation = r.Uint("generation");
  spec.work_class = static_cast<WorkClass>(r.Uint("work_class", kLastClass));
  spec.work_writable = r.Boolean("work_writable");
  spec.work_exec = r.Boolean("work_exec");
  const cbor::Array trees = r.List("program_trees", 32);
  spec.secrets = r.ByteString("secrets", kMaxSecretsBytes);
  spec.tmp_bytes = r.Uint("tmp_bytes", 64ull << 30);
  spec.tmp_inodes = r.Uint("tmp_inodes", 1 << 24);
  KRUX_TRY(r.Finish());
  for (const cbor::Value& tree : trees) {
    if (tree.text() == nullptr)
      return Fail(ExitCode::kBadData, "template", "program tree is not text");
    spec.program_trees.push_back(*tree.text());
  }
  return spec;
}

}  // namespace krux::sandbox
