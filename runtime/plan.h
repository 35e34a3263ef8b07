// MakePlan: one bound call under one policy becomes everything the pipeline needs: the Call that
// decide() judges, the Spec that is built, and the Footprint of that Spec.
//
//   cbor::Map args = KRUX_TRY(Bind(*capability, arguments));
//   Plan plan = KRUX_TRY(MakePlan(*capability, args, session_policy, session));
//   Decision d = policy::Decide(state, plan.call, plan.footprint, now_ms);
//
// A call outside the policy is no error: its scope bit is false and decide() denies it with the
// rule.
#pragma once

#include <string>
#include <vector>

#include "policy/decide.h"
#include "policy/policy_file.h"
#include "runtime/catalog.h"
#include "runtime/labels.h"
#include "sandbox/spec.h"

namespace krux::runtime {

// What a session brings to each of its calls.
struct PlanSession {
  std::string work;        // canonical path of WORK
  cbor::Bytes session_id;  // 16 bytes
  uint64_t generation = 0;
  sandbox::LayerMask degraded = 0;  // layers the operator lets be missing
  sandbox::Limits limits;           // the ceiling of every call
  // Values that the operator gave this session (paths canonical): a call whose every identity
  // argument is one of them is the operator's own intent, whatever the session has seen.
  std::vector<std::string> endorsed = {};
  policy::Exposure exposure = 0;       // what the session has seen before the call
  const LabelStore* labels = nullptr;  // null: no file has a label
  const Place* place = nullptr;        // of `work`; not null where `labels` is not
};

// A label that a call leaves behind.
struct LabelledPath {
  std::string path;
  bool tree = false;
};

struct Plan {
  policy::Call call;
  policy::Footprint footprint;
  sandbox::Spec spec;                   // complete but for call_id
  sandbox::TemplateSpec template_spec;  // the template that the Spec runs in
  std::string path;                     // of a built-in call: the file it is about
  std::vector<LabelledPath> labels;     // paths that the call labels with `label_legs`
  policy::Exposure label_legs = 0;
};

// `args` come from Bind. `policy` may still hold ${WORK}. Errors are kBadData (request too large).
Result<Plan> MakePlan(const Capability& capability, const cbor::Map& args,
                      const policy::Policy& policy, const PlanSession& session);

// What rules of a policy may ask about the calls of the catalog: their text arguments, and the
// words of a command as one text.
Result<void> CheckRules(const policy::Policy& policy);

// What the sandbox that `spec` describes can touch, in terms of `policy` and of the labels: read
// from the Spec alone.
policy::Footprint FootprintOf(const sandbox::Spec& spec, const policy::Policy& policy,
                              const PlanSession& session);

// The trees of WORK that a program under `spec` may write: what it has seen may lie there
// afterwards.
std::vector<LabelledPath> WritableTrees(const sandbox::Spec& spec, const std::string& work);

}  // namespace krux::runtime
