#include "runtime/exposure.h"

#include <algorithm>

#include "base/path.h"
#include "runtime/request.h"

namespace krux::runtime {
namespace {

bool Within(std::string_view tree, std::string_view path) {
  return krux_path_within(tree.data(), tree.size(), path.data(), path.size());
}

bool NamesSomething(const policy::Scope& scope) {
  return !scope.clauses.empty() && std::ranges::all_of(scope.clauses, [](const auto& clause) {
    return clause.any || !clause.allow.empty();
  });
}

policy::Exposure LegsOfProgram(const sandbox::Spec& spec, const policy::Policy& policy,
                               const PlanSession& session) {
  const std::vector<std::string> open = policy::Trees(policy.public_paths);
  policy::Exposure legs = 0;
  bool in_work = false;
  for (const sandbox::PathRule& rule : spec.landlock) {
    // A tree above WORK would hold it as well.
    if (!Within(session.work, rule.path) && !Within(rule.path, session.work)) continue;
    in_work = true;
    const auto holds = [&](const std::string& tree) { return Within(tree, rule.path); };
    if (rule.read && std::ranges::none_of(open, holds)) legs |= policy::kPrivateData;
  }
  if (in_work && session.labels != nullptr) legs |= session.labels->Anywhere(*session.place);
  return legs;
}

}  // namespace

policy::Exposure LegsOfFile(const policy::Policy& policy, const LabelStore* labels,
                            const Place* place, std::string_view path) {
  policy::Exposure legs = policy::kPrivateData;
  if (policy::CheckPath(policy.public_paths, path).inside) legs = 0;
  if (labels != nullptr) legs |= labels->At(*place, path);
  return legs;
}

policy::Exposure LegsOfSpec(const sandbox::Spec& spec, const policy::Policy& policy,
                            const PlanSession& session) {
  if (spec.work_class == sandbox::WorkClass::kExec) return LegsOfProgram(spec, policy, session);
  if (spec.landlock.empty()) return 0;
  const Result<Request> request = DecodeRequest(spec.request);
  const cbor::Value* path = request ? request->args.Find("path") : nullptr;
  if (path == nullptr || path->text() == nullptr) return kLabelLegs;
  return LegsOfFile(policy, session.labels, session.place, *path->text());
}

void PlanLabels(Plan& plan, const policy::Policy& policy, const PlanSession& session) {
  policy::Exposure legs = session.exposure;
  if (plan.footprint.runs_program) legs |= plan.call.contribution;
  legs &= kLabelLegs;
  if ((legs & policy::kUntrustedContent) == 0 && !NamesSomething(policy.public_paths)) return;
  if (legs == 0) return;
  plan.label_legs = legs;
  if (plan.footprint.runs_program)
    plan.labels = WritableTrees(plan.spec, session.work);
  else
    plan.labels = {{plan.path, false}};
}

}  // namespace krux::runtime
