#include "tests/escape/jail.h"

#include "runtime/request.h"

namespace krux::sandbox {

cbor::Bytes ExecRequest(const Spec& spec, const Scene& scene) {
  runtime::Request request;
  request.capability = "proc.exec";
  cbor::Array words;
  for (const std::string& word : scene.Command()) words.emplace_back(word);
  request.args = cbor::Map{{"argv", words}, {"cwd", scene.work().path()}, {"timeout_ms", 40000u}};
  for (const PathRule& rule : spec.landlock)
    request.grants.push_back({rule.path, rule.read, rule.write, rule.exec});
  return runtime::EncodeRequest(request).value();
}

std::string Verdict(const Event& event) {
  if (const auto* failed = std::get_if<Failed>(&event)) return "failed: " + failed->error.message;
  const auto* done = std::get_if<Done>(&event);
  if (done == nullptr) return "no end";
  if (done->end == Done::End::kOom) return "contained: mmap: ENOMEM (the cgroup killed it)\n";
  const std::string said = ResultData(*done);
  return said.empty() ? "silent: " + cbor::Diagnostic(ResultMeta(*done)) : said;
}

}  // namespace krux::sandbox
