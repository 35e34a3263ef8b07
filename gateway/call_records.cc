#include "gateway/call_records.h"

#include "gateway/file_change.h"
#include "gateway/lattice.h"
#include "gateway/leg_sources.h"

namespace krux::gateway {
namespace {

using cbor::Map;
using cbor::Value;

constexpr size_t kHashBytes = 32;

Map FootprintMap(const policy::Footprint& footprint) {
  return Map{{"reads_private", footprint.reads_private},
             {"reads_untrusted", footprint.reads_untrusted},
             {"writes", footprint.writes},
             {"network", footprint.network},
             {"runs_program", footprint.runs_program},
             {"within_grants", footprint.within_grants},
             {"layers", uint64_t{footprint.layers}}};
}

// Every input of decide() besides state, policy and footprint, so that replay gets the same answer.
Map Inputs(const CallFlow& flow) {
  Map inputs{{"now_ms", flow.now_ms}};
  if (flow.refusal.has_value()) {
    inputs.Set("refused", Name(flow.refusal->code));
    return inputs;
  }
  const policy::Call& call = flow.plan.call;
  cbor::Array scopes;
  for (const policy::ScopeBit& bit : call.scopes) {
    // Not bit.value: a path or an argument stands in the record only as a commitment.
    scopes.push_back(cbor::Array{bit.scope, bit.inside, bit.rule});
  }
  inputs.Set("dimension", policy::Name(call.dimension));
  inputs.Set("risk", policy::Name(call.risk));
  inputs.Set("contribution", uint64_t{call.contribution});
  inputs.Set("scopes", std::move(scopes));
  if (call.endorsed) inputs.Set("endorsed", true);
  if (!call.obliged_rule.empty()) inputs.Set("obliged", call.obliged_rule);
  if (!flow.labels.empty()) {
    inputs.Set("work", flow.labelled_work);
    inputs.Set("labels", flow.labels);
  }
  if (cbor::Map legs = LegSources(flow); !legs.empty()) inputs.Set("legs", std::move(legs));
  return inputs;
}

// The arguments as the record commits to them: content by size and digest, as if it had come as a
// descriptor. The log is no second place where files live.
Value RecordedArgs(const CallFlow& flow) {
  Map args = flow.args;
  if (flow.refusal.has_value() && flow.request.args.map() != nullptr)
    args = *flow.request.args.map();
  else if (flow.refusal.has_value())
    return flow.request.args;
  const runtime::Capability* capability = runtime::FindCapability(flow.request.capability);
  const runtime::Arg* content = capability != nullptr ? runtime::ContentOf(*capability) : nullptr;
  const Value* value = content != nullptr ? args.Find(content->name) : nullptr;
  if (value != nullptr && (value->bytes() != nullptr || value->text() != nullptr))
    args.Set(content->name, ContentDigest(*value));
  return args;
}

audit::DecisionCode CodeInRecord(policy::Verdict verdict) {
  switch (verdict) {
    case policy::Verdict::kAllow:
      return audit::DecisionCode::kAllow;
    case policy::Verdict::kAsk:
      return audit::DecisionCode::kAsk;
    case policy::Verdict::kDeny:
      break;
  }
  return audit::DecisionCode::kDeny;
}

}  // namespace

std::string AgentOf(const PeerCredentials& peer) { return "uid:" + std::to_string(peer.uid); }

std::vector<std::string> LegNames(policy::Exposure exposure) {
  std::vector<std::string> names;
  if ((exposure & policy::kPrivateData) != 0) names.emplace_back("private_data");
  if ((exposure & policy::kUntrustedContent) != 0) names.emplace_back("untrusted_content");
  if ((exposure & policy::kExfilVector) != 0) names.emplace_back("exfil_vector");
  return names;
}

ExitCode CodeOf(const policy::Decision& decision) {
  if (decision.verdict == policy::Verdict::kAllow) return ExitCode::kOk;
  if (decision.verdict == policy::Verdict::kAsk) return ExitCode::kAsk;
  if (decision.reasons.empty()) return ExitCode::kDenied;
  switch (decision.reasons.front().component) {
    case policy::Component::kGate:
    case policy::Component::kTrust:
      return ExitCode::kExposure;
    default:
      return ExitCode::kDenied;
  }
}

audit::Intent IntentOf(const CallFlow& flow, const Pipeline::Limits& limits) {
  audit::Intent intent;
  intent.call_id = flow.id;
  intent.session = flow.request.session;
  intent.agent = AgentOf(flow.peer);
  intent.capability = flow.request.capability;
  // As bound where binding succeeded: defaults filled in, paths canonical.
  intent.args = RecordedArgs(flow);
  intent.policy_epoch = limits.policy_epoch;
  intent.peer = Map{{"pid", uint64_t(flow.peer.pid)},
                    {"uid", uint64_t{flow.peer.uid}},
                    {"gid", uint64_t{flow.peer.gid}},
                    {"request", flow.request.id}};
  intent.policy_hash = flow.session ? flow.session->policy_hash : cbor::Bytes(kHashBytes);
  intent.inputs = Inputs(flow);
  // A stranger's session is none: whoever names it says nothing about its state.
  const uint64_t epoch = flow.session ? flow.session->opening.policy_epoch : 0;
  if (flow.session) {
    intent.state_before = StateLattice(flow.before, epoch, flow.session->locked);
    intent.budget_before = BudgetLattice(flow.before);
  }
  intent.layers_degraded = limits.degraded;
  if (flow.refusal.has_value()) {
    intent.decision = audit::DecisionCode::kDeny;
    intent.rules = {"gateway: " + flow.refusal->stage};
    intent.state_after = intent.state_before;
    intent.budget_after = intent.budget_before;
    return intent;
  }
  intent.decision = CodeInRecord(flow.decision.verdict);
  for (const policy::Reason& reason : flow.decision.reasons) intent.rules.push_back(reason.rule);
  intent.state_after = StateLattice(flow.decision.next, epoch, flow.session->locked);
  intent.budget_after = BudgetLattice(flow.decision.next);
  intent.spec_digest = flow.spec_digest;
  intent.layers_required = flow.plan.spec.required;
  intent.footprint = FootprintMap(flow.plan.footprint);
  return intent;
}

Used UsedBy(const CallFlow& flow, uint64_t now_ns) {
  Used used{.wall_us = 0, .cpu_us = 0, .bytes_in = 0, .bytes_out = flow.result.bytes};
  if (flow.done.has_value()) {
    used.wall_us = flow.done->wall_us;
    used.cpu_us = flow.done->cpu_us;
  } else if (flow.acting) {
    used.wall_us = (now_ns - flow.go_ns) / 1000;
  }
  const runtime::Arg* content = runtime::ContentOf(*flow.capability);
  const Value* value = content != nullptr ? flow.args.Find(content->name) : nullptr;
  if (value != nullptr) used.bytes_in = *ContentDigest(*value).Find("bytes")->uint();
  return used;
}

audit::Outcome OutcomeOf(const CallFlow& flow) {
  audit::Outcome outcome;
  outcome.call_id = flow.id;
  outcome.intent_seq = flow.intent.seq;
  outcome.status = flow.ending->status;
  outcome.exit_code = ToInt(flow.ending->code);
  outcome.detail = flow.ending->detail;
  outcome.reason = Clip(flow.ending->reason, 512);
  if (flow.late_legs != 0) outcome.state_after = StateLattice(*flow.session);
  outcome.budget_before = BudgetLattice(flow.before_cost);
  outcome.budget_after = BudgetLattice(flow.session->state);
  if (flow.done.has_value()) {
    outcome.cpu_us = flow.done->cpu_us;
    outcome.wall_us = flow.done->wall_us;
    outcome.max_rss_kib = flow.done->max_rss_kib;
    outcome.read_bytes = flow.done->read_bytes;
    outcome.written_bytes = flow.done->written_bytes;
    outcome.files = flow.done->work_files;
  }
  if (!flow.receipt.empty()) outcome.receipt = sandbox::ToValue(flow.receipt);
  if (flow.result.memfd.valid()) {
    outcome.result_bytes = flow.result.bytes;
    outcome.result = Map{{"bytes", flow.result.bytes},
                         {"sha256", flow.result.bytes_sha256},
                         {"data_sha256", flow.result.data_sha256},
                         {"truncated", flow.result.truncated}};
    if (flow.capability->work_class == sandbox::WorkClass::kWrite)
      RecordChange(flow.result.data, *outcome.result.map());
  }
  return outcome;
}

}  // namespace krux::gateway
