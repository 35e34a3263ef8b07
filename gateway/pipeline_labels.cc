// Exposure of sessions and labels of files, as calls bring and leave them. A label is set before
// the effect that it warns of: it stands in the intent of the call that leaves it behind. Calls
// that run meanwhile and may meet the effect have seen it too, from then on, and their outcomes say
// so.
#include <algorithm>
#include <utility>
#include <vector>

#include "base/path.h"
#include "gateway/pipeline.h"
#include "runtime/exposure.h"

namespace krux::gateway {
namespace {

using runtime::LabelledPath;

bool Within(std::string_view tree, std::string_view path) {
  return krux_path_within(tree.data(), tree.size(), path.data(), path.size());
}

// Decided, and perhaps not at its end.
bool Underway(const CallFlow& flow) {
  return !flow.refusal.has_value() && flow.decision.verdict == policy::Verdict::kAllow &&
         flow.intent.is != RecordState::Is::kNone && !flow.ending.has_value();
}

// May what lies at `labelled` be read, or moved, by the call?
bool Meets(const CallFlow& flow, const LabelledPath& labelled) {
  const auto touches = [&](const std::string& tree) {
    return Within(tree, labelled.path) || (labelled.tree && Within(labelled.path, tree));
  };
  if (!flow.plan.footprint.runs_program) {
    // The file itself, the directory that lists it, what lies in a labelled tree.
    const std::string& path = flow.plan.path;
    return labelled.path == path || (labelled.tree && Within(labelled.path, path)) ||
           labelled.path.substr(0, std::max<size_t>(labelled.path.rfind('/'), 1)) == path;
  }
  return std::ranges::any_of(flow.plan.spec.landlock,
                             [&](const sandbox::PathRule& rule) { return touches(rule.path); });
}

// The path that the worker found at the end of all links; empty where it found none.
std::string PathOf(const cbor::Value& data) {
  const cbor::Value* bytes = data.map() != nullptr ? data.map()->Find("path_bytes") : nullptr;
  if (bytes != nullptr && bytes->bytes() != nullptr)
    return {bytes->bytes()->begin(), bytes->bytes()->end()};
  const cbor::Value* path = data.map() != nullptr ? data.map()->Find("path") : nullptr;
  return path != nullptr && path->text() != nullptr ? *path->text() : "";
}

}  // namespace

// The call is the first that brought what the session has now and had not before.
void Pipeline::NoteSources(CallFlow& flow, policy::Exposure before) {
  Session& session = *flow.session;
  for (size_t bit = 0; bit < kLegs; ++bit) {
    if (((session.state.exposure() & ~before) >> bit & 1) == 0) continue;
    session.seen->sources[bit] = {flow.id, flow.intent.seq, flow.request.capability};
  }
}

void Pipeline::NoteRecorded(const CallFlow& flow) {
  if (flow.session == nullptr) return;
  for (LegSource& source : flow.session->seen->sources) {
    if (source.call == flow.id) source.seq = flow.intent.seq;
  }
  if (!flow.labels.empty()) labels_.Recorded(flow.labelled_work, flow.labels);
}

// The call will write what its session has seen. A program that runs meanwhile may copy that on, so
// what it can write is labelled as well; and so forth.
void Pipeline::Label(CallFlow& flow) {
  if (flow.plan.labels.empty()) return;
  const policy::Exposure legs = flow.plan.label_legs;
  std::vector<LabelledPath> left_behind = flow.plan.labels;
  const runtime::Place* place = &flow.session->place;
  for (size_t i = 0; i < left_behind.size(); ++i) {
    const LabelledPath labelled = left_behind[i];
    for (const auto& [id, other] : flows_) {
      if (other.get() == &flow || !Underway(*other) || !Meets(*other, labelled)) continue;
      if ((legs & ~(other->plan.call.contribution | other->late_legs)) == 0) continue;
      Expose(*other, legs);
      if (!other->plan.footprint.runs_program) continue;
      std::ranges::move(runtime::WritableTrees(other->plan.spec, other->session->work),
                        std::back_inserter(left_behind));
      // Kept under the outermost WORK, where all of them look.
      if (Within(other->session->work, place->path)) place = &other->session->place;
    }
  }
  flow.labelled_work.assign(place->id.begin(), place->id.end());
  for (const LabelledPath& labelled : left_behind) {
    for (cbor::Value& added : labels_.Add(*place, labelled.path, legs, labelled.tree))
      flow.labels.push_back(std::move(added));
  }
}

// The session has seen more than the call's contribution says: its outcome will.
void Pipeline::Expose(CallFlow& flow, policy::Exposure legs) {
  const policy::Exposure before = flow.session->state.exposure();
  flow.late_legs |= legs & ~flow.plan.call.contribution;
  krux_step_taint(&flow.session->state.kernel, legs);
  flow.session->seen->exposure |= legs;
  NoteSources(flow, before);
}

// The decision knew the path that was asked for. A link may have led to a file that brings more:
// then the session has seen that, before it gets a byte of it.
void Pipeline::ExposeToWhatWasFound(CallFlow& flow) {
  if (flow.plan.footprint.runs_program) return;
  const std::string found = PathOf(flow.result.data);
  if (found.empty() || found == flow.plan.path) return;
  const policy::Exposure legs =
      runtime::LegsOfFile(flow.session->policy, &labels_, &flow.session->place, found);
  if ((legs & ~flow.plan.call.contribution) != 0) Expose(flow, legs);
}

}  // namespace krux::gateway
