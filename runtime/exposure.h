// What a call brings into its session, and which labels it leaves behind (runtime/labels.h).
//
//   plan.call.contribution |= LegsOfFile(bound, labels, place, "/home/ann/project/a.md");
//   footprint legs = LegsOfSpec(spec, bound, session);     // the same, read from the Spec alone
//   PlanLabels(plan, bound, session);
#pragma once

#include <string>

#include "runtime/plan.h"

namespace krux::runtime {

// Of a file that a built-in call reads: private data where the policy does not say `public`, and
// its labels. A link may lead to another file: what was really read turns up with the result
// (gateway/pipeline_labels.cc). `labels` may be null, `place` with it; `policy` is bound to WORK.
policy::Exposure LegsOfFile(const policy::Policy& policy, const LabelStore* labels,
                            const Place* place, std::string_view path);

// Of all that the Spec lets the call see. A program may read, and move about, whatever lies in its
// trees; a built-in call reads the file that its request names.
policy::Exposure LegsOfSpec(const sandbox::Spec& spec, const policy::Policy& policy,
                            const PlanSession& session);

// What the call leaves behind has been seen by whoever asked for it, and by the program that wrote
// it. That it holds private data goes without saying, unless the policy calls some files public.
void PlanLabels(Plan& plan, const policy::Policy& policy, const PlanSession& session);

}  // namespace krux::runtime
