#include "gateway/pipeline.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "gateway/call_input.h"
#include "gateway/call_records.h"
#include "gateway/file_change.h"
#include "gateway/lattice.h"
#include "gateway/leg_sources.h"
#include "gateway/stop_point.h"

namespace krux::gateway {
namespace {

constexpr uint64_t kNsPerMs = 1'000'000;

bool Allowed(const CallFlow& flow) {
  return !flow.refusal.has_value() && flow.decision.verdict == policy::Verdict::kAllow;
}

// The next stage after one of the first three: a refusal goes straight to the log.
Stage After(CallFlow& flow, Result<void> stage, Stage next) {
  if (stage) return next;
  flow.refusal = std::move(stage.error());
  return Stage::kRecord;
}

// A call that writes says what it did, and what it says goes into the record: it must hold.
void CheckWritten(CallFlow& flow, Ending& ending) {
  const runtime::Arg* content = runtime::ContentOf(*flow.capability);
  if (flow.capability->work_class != sandbox::WorkClass::kWrite || content == nullptr) return;
  const cbor::Map digest = ContentDigest(*flow.args.Find(content->name));
  auto holds = CheckChange(flow.result.data, digest, ending.code == ExitCode::kOk);
  if (holds) return;
  flow.result.data = cbor::Map();
  ending = {audit::Status::kFailed, ExitCode::kFailed, flow.done->status, holds.error().message};
}

}  // namespace

const char* Name(Stage stage) {
  static constexpr const char* kNames[] = {"admit",   "bind",  "plan",    "decide",  "record",
                                           "approve", "spawn", "collect", "outcome", "reply"};
  return kNames[static_cast<size_t>(stage)];
}

Pipeline::Pipeline(const Clock& clock, Random& random, AuditLink& audit, SpawnLink& spawn,
                   Limits limits, Answer answer, MayBegin may_begin)
    : clock_(clock),
      random_(random),
      audit_(audit),
      spawn_(spawn),
      limits_(limits),
      answer_(std::move(answer)),
      may_begin_(std::move(may_begin)),
      line_({{limits_.bounds.calls, limits_.bounds.waiting},
             {limits_.bounds.calls_per_agent, limits_.bounds.waiting_per_agent},
             {limits_.bounds.calls_per_session, limits_.bounds.waiting_per_session}}) {}

CallFlow& Pipeline::Add(uint64_t connection, const PeerCredentials& peer, CallRequest request) {
  auto flow = std::make_unique<CallFlow>();
  flow->id = RandomId(random_);
  flow->connection = connection;
  flow->peer = peer;
  flow->request = std::move(request);
  flow->now_ms = clock_.WallNs() / kNsPerMs;
  flow->reply.id = flow->request.id;
  CallFlow& added = *flow;
  flows_[added.id] = std::move(flow);
  return added;
}

void Pipeline::Begin(uint64_t connection, const PeerCredentials& peer,
                     std::shared_ptr<Session> session, CallRequest request, UniqueFd input) {
  CallFlow& flow = Add(connection, peer, std::move(request));
  flow.session = std::move(session);
  flow.input = std::move(input);
  Queue(flow);
}

void Pipeline::Refuse(uint64_t connection, const PeerCredentials& peer, CallRequest remains,
                      Error error) {
  CallFlow& flow = Add(connection, peer, std::move(remains));
  error.stage = "decode";
  flow.refusal = std::move(error);
  Queue(flow);
}

// One call, once through. A stage either moves the flow on or waits for the event named beside it.
void Pipeline::Step(CallFlow& flow, bool& waits) {
  StopPoint(Name(flow.stage));
  switch (flow.stage) {
    case Stage::kAdmit:
      if (!flow.passed && !flow.refusal.has_value()) break;  // Pump
      flow.stage = After(flow, Admit(flow), Stage::kBind);
      return;
    case Stage::kBind:
      flow.stage = After(flow, Bind(flow), Stage::kPlan);
      return;
    case Stage::kPlan:
      flow.stage = After(flow, Plan(flow), Stage::kDecide);
      return;
    case Stage::kDecide:
      Decide(flow);
      flow.stage = Stage::kRecord;
      return;
    case Stage::kRecord:
      Record(flow);
      flow.stage = Stage::kApprove;
      return;
    case Stage::kApprove:
      if (Allowed(flow)) {  // does not wait: the sandbox is built while the disk works
        flow.stage = Stage::kSpawn;
        return;
      }
      if (!flow.intent.settled()) break;  // OnIntentRecorded
      ReplyWithoutEffect(flow);
      flow.stage = Stage::kReply;
      return;
    case Stage::kSpawn:
      if (!flow.asked && !flow.ending.has_value()) BuildSandbox(flow);
      if (!flow.intent.settled() && !IsLeftOut("barrier")) break;  // OnIntentRecorded
      if (!flow.ready && !flow.ending.has_value()) break;          // OnSpawnEvent(Ready | Failed)
      if (!flow.ending.has_value()) Release(flow);  // the barrier: durable and measured
      flow.stage = Stage::kCollect;
      return;
    case Stage::kCollect:
      if (!flow.done.has_value() && !flow.ending.has_value()) break;  // OnSpawnEvent(Done)
      if (!flow.ending.has_value()) Collect(flow);
      flow.stage = Stage::kOutcome;
      return;
    case Stage::kOutcome:
      if (flow.outcome.is == RecordState::Is::kNone) RecordOutcome(flow);
      if (!flow.outcome.settled()) break;  // OnOutcomeRecorded
      flow.stage = Stage::kReply;
      return;
    case Stage::kReply:
      Reply(flow);
      break;
  }
  waits = true;
}

void Pipeline::Advance(const cbor::Bytes& id) {
  // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): `id` may live in the flow that
  // ends
  const cbor::Bytes key = id;
  bool waits = false;
  while (!waits) {
    CallFlow* flow = Find(key);
    if (flow == nullptr) return;
    Step(*flow, waits);
  }
  const CallFlow* flow = Find(key);
  if (flow != nullptr && flow->answered && flow->stage == Stage::kReply) Forget(key);
}

// 1. Only a session of this very peer.
Result<void> Pipeline::Admit(CallFlow& flow) {
  if (flow.session != nullptr) flow.before = flow.session->state;
  if (flow.refusal.has_value()) return std::unexpected(*flow.refusal);
  if (flow.session == nullptr) {
    return Fail(ExitCode::kNotFound, "admit", "no such session; open it again");
  }
  if (flow.session->unrecorded) {
    return Fail(ExitCode::kAudit, "admit",
                "the opening of this session could not be recorded; open it again");
  }
  if (flow.session->ended) {
    return Fail(ExitCode::kNotFound, "admit", "this session has ended; open it again");
  }
  if (!flow.session->closed.empty()) return Fail(ExitCode::kDenied, "admit", flow.session->closed);
  if (!flow.request.profile.empty() && flow.request.profile != flow.session->key.profile) {
    return Fail(
        ExitCode::kBadData, "admit",
        "`" + flow.request.profile + "` is not the profile of this session; open another one");
  }
  return {};
}

// 2. Names and arguments become what the catalog says they are.
Result<void> Pipeline::Bind(CallFlow& flow) {
  flow.capability = runtime::FindCapability(flow.request.capability);
  if (flow.capability == nullptr) {
    const std::string_view near = runtime::SuggestCapability(flow.request.capability);
    return Fail(ExitCode::kNotFound, "bind",
                "no capability is called `" + flow.request.capability + "`" +
                    (near.empty() ? std::string("; `krux cap ls` lists them")
                                  : "; did you mean `" + std::string(near) + "`?"));
  }
  std::optional<runtime::Input> input;
  // What a capability cannot use is not read either.
  if (flow.input.valid() && runtime::ContentOf(*flow.capability) == nullptr)
    input.emplace();
  else if (flow.input.valid())
    input = KRUX_TRY(ReadInput(flow.input));
  auto args = runtime::Bind(*flow.capability, flow.request.args, input ? &*input : nullptr);
  if (!args) {
    args.error().stage = "bind";
    return std::unexpected(std::move(args.error()));
  }
  flow.args = std::move(*args);
  return {};
}

// 3. What would be built, and what that could touch.
Result<void> Pipeline::Plan(CallFlow& flow) {
  // What another session of this user saw here counts for the plan and for the decision.
  krux_step_taint(&flow.session->state.kernel, flow.session->seen->exposure);
  const Session& session = *flow.session;
  const runtime::PlanSession context{.work = session.work,
                                     .session_id = session.id,
                                     .generation = session.generation,
                                     .degraded = limits_.degraded,
                                     .limits = limits_.sandbox,
                                     .endorsed = session.endorsed,
                                     .exposure = session.state.exposure(),
                                     .labels = &labels_,
                                     .place = &session.place};
  auto plan = runtime::MakePlan(*flow.capability, flow.args, session.policy, context);
  if (!plan) {
    plan.error().stage = "plan";
    return std::unexpected(std::move(plan.error()));
  }
  flow.plan = std::move(*plan);
  flow.plan.call.digest = policy::ToDigest(
      Sha256(cbor::Encode(cbor::Array{flow.request.capability, cbor::Value(flow.args)})));
  flow.plan.spec.call_id = flow.id;
  flow.spec_digest = Sha256(cbor::Encode(sandbox::ToValue(flow.plan.spec)));
  return {};
}

// 4. The kernel decides; an allowed call moves the session before anything of it happens.
void Pipeline::Decide(CallFlow& flow) {
  flow.before = flow.session->state;
  flow.decision = limits_.decide(flow.before, flow.plan.call, flow.plan.footprint, flow.now_ms);
  if (!Allowed(flow)) return;
  flow.session->state = flow.decision.next;
  flow.session->seen->exposure |= flow.session->state.exposure();
  NoteSources(flow, flow.before.exposure());
  Label(flow);
}

// 5. Whatever was decided goes to the log before anything else happens.
void Pipeline::Record(CallFlow& flow) {
  flow.intent.is = RecordState::Is::kPending;
  if (!Allowed(flow)) {
    SpendRefusal(flow);
    Started(flow);
  }
  audit_.Append(ToDraft(IntentOf(flow, limits_)),
                [this, id = flow.id](const Appended& appended) { OnIntentRecorded(id, appended); });
}

// 6. Deny, ask and refusals end here: recorded, nothing spawned, nothing parked.
void Pipeline::ReplyWithoutEffect(CallFlow& flow) {
  flow.reply.seq = flow.intent.seq;
  if (flow.refusal.has_value()) {
    flow.reply.code = flow.refusal->code;
    flow.reply.message = flow.refusal->message;
    return;
  }
  flow.reply.code = CodeOf(flow.decision);
  flow.reply.verdict = policy::Name(flow.decision.verdict);
  if (flow.decision.reasons.empty()) return;
  flow.reply.rule = flow.decision.reasons.front().rule;
  flow.reply.message = flow.decision.reasons.front().message + WhoBrought(flow);
}

// 7. A fresh process: first the session's mount tree, where this is the first call that needs it.
void Pipeline::BuildSandbox(CallFlow& flow) {
  flow.asked = true;
  flow.deadline_ns = clock_.MonotonicNs() + limits_.bounds.setup_ms * kNsPerMs;
  TemplateSlot& slot = flow.session->templates[static_cast<size_t>(flow.plan.spec.work_class)];
  if (slot.state == TemplateSlot::State::kBuilt) {
    SendSpawn(flow);
    return;
  }
  slot.waiting.push_back(flow.id);
  Started(flow);  // templates are built beside krux-spawnd's loop: a slow one holds nobody up
  if (slot.state == TemplateSlot::State::kBuilding) return;
  slot.tag = next_tag_++;
  auto sent = spawn_.BuildTemplate(slot.tag, flow.plan.template_spec, flow.session->key.work_id);
  if (!sent) {
    slot.waiting.clear();
    OnSandboxFailed(flow, sent.error(), {});
    return;
  }
  slot.state = TemplateSlot::State::kBuilding;
  templates_[slot.tag] = flow.session;
}

void Pipeline::SendSpawn(CallFlow& flow) {
  flow.spawned = true;
  flow.template_tag = flow.session->templates[static_cast<size_t>(flow.plan.spec.work_class)].tag;
  // A copy: of a template that turns out to be stale the call is spawned once more.
  UniqueFd input(flow.input.valid() ? fcntl(flow.input.get(), F_DUPFD_CLOEXEC, 3) : -1);
  if (auto sent = spawn_.Spawn(flow.plan.spec, std::move(input)); !sent)
    OnSandboxFailed(flow, sent.error(), {});
  StopPoint("spawn_sent");
}

void Pipeline::Release(CallFlow& flow) {
  flow.deadline_ns =
      clock_.MonotonicNs() + (flow.plan.spec.limits.wall_ms + limits_.bounds.grace_ms) * kNsPerMs;
  if (auto sent = spawn_.Go(flow.id); !sent) {
    OnSandboxFailed(flow, sent.error(), {});
    return;
  }
  flow.acting = true;
  flow.input.reset();
  flow.go_ns = clock_.MonotonicNs();
}

// 8. The worker is gone. What it left is the work of an enemy until it was checked.
void Pipeline::Collect(CallFlow& flow) {
  Result<WorkerResult> answer =
      ReadWorkerResult(std::move(flow.done->result), flow.plan.spec.limits.result_bytes);
  Ending ending = NameEnding(*flow.done, answer, flow.plan);
  // Of a call that its time limit ended, what came out until then is worth having.
  if (answer && MayAnswer(flow.done->end)) flow.result = std::move(*answer);
  ExposeToWhatWasFound(flow);
  if (ending.limit != sandbox::Limit::kNone) NameLimit(flow.result, ending.limit);
  if (flow.result.memfd.valid()) CheckWritten(flow, ending);
  if (ending.status == audit::Status::kCancelled && flow.stopping) {
    ending.code = ExitCode::kUnreachable;
    ending.reason = "the gateway stopped while the call ran";
  }
  End(flow, std::move(ending));
}

// 9. Nothing is released before this is durable.
void Pipeline::RecordOutcome(CallFlow& flow) {
  flow.outcome.is = RecordState::Is::kPending;
  // Once, however often it has to be recorded; a record says what is left when it is made.
  flow.before_cost = flow.session->state;
  if (!std::exchange(flow.charged, true)) {
    krux_step_charge(&flow.session->state.kernel,
                     CostOf(UsedBy(flow, clock_.MonotonicNs())).data());
  }
  audit_.Append(ToDraft(OutcomeOf(flow)), [this, id = flow.id](const Appended& appended) {
    OnOutcomeRecorded(id, appended);
  });
  StopPoint("outcome_sent");
}

// 10. The answer, once.
void Pipeline::Reply(CallFlow& flow) {
  if (flow.answered) return;
  flow.answered = true;
  ++answered_;
  Leave(flow);
  if (flow.session != nullptr) flow.reply.exposure = LegNames(flow.session->state.exposure());
  UniqueFd output;
  if (Allowed(flow) && flow.ending.has_value()) {
    flow.reply.seq = flow.intent.seq;
    flow.reply.outcome_seq = flow.outcome.seq;
    flow.reply.verdict = policy::Name(flow.decision.verdict);
    flow.reply.code = flow.ending->code;
    flow.reply.ok = flow.ending->code == ExitCode::kOk;
    flow.reply.message = flow.ending->reason;
    flow.reply.data = std::move(flow.result.data);
    flow.reply.truncated = flow.result.truncated;
    flow.reply.bytes = flow.result.bytes;
    if (flow.result.bytes > 0) output = flow.result.memfd.TakeFd();
  }
  if (flow.connection != 0) answer_(flow.connection, flow.reply, std::move(output));
  StopPoint("replied");
}

void Pipeline::End(CallFlow& flow, Ending ending) {
  flow.ending = std::move(ending);
  flow.deadline_ns = 0;
  Started(flow);
}

CallFlow* Pipeline::Find(const cbor::Bytes& id) {
  const auto it = flows_.find(id);
  return it == flows_.end() ? nullptr : it->second.get();
}

void Pipeline::Forget(const cbor::Bytes& id) { flows_.erase(id); }

}  // namespace krux::gateway
