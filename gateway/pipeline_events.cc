// The events of the pipeline: what krux-auditd, krux-spawnd, clients and the clock say to a
// CallFlow.
#include <cerrno>
#include <iterator>
#include <utility>
#include <variant>
#include <vector>

#include "gateway/pipeline.h"
#include "gateway/stop_point.h"

namespace krux::gateway {
namespace {

constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kSlowStartNs = 100 * kNsPerMs;

// What a call was to be given in WORK besides WORK itself, in words.
std::string TreesBelow(const std::string& work, const sandbox::Spec& spec) {
  std::string trees;
  for (const sandbox::PathRule& rule : spec.landlock) {
    if (rule.path.starts_with(work + "/")) trees += (trees.empty() ? "`" : ", `") + rule.path + "`";
  }
  return trees;
}

}  // namespace

void Pipeline::OnIntentRecorded(const cbor::Bytes& id, const Appended& appended) {
  ApplyIntent(id, appended);
  Pump();
}

void Pipeline::ApplyIntent(const cbor::Bytes& id, const Appended& appended) {
  CallFlow* flow = Find(id);
  if (flow == nullptr) return;
  switch (appended.what) {
    case Appended::What::kDurable:
      StopPoint("intent_durable");
      flow->intent = {RecordState::Is::kDurable, appended.seq};
      NoteRecorded(*flow);
      Advance(id);
      return;
    case Appended::What::kFailed:
      Withhold(*flow, appended.error);
      Forget(flow->id);
      return;
    case Appended::What::kSilent: {
      Withhold(*flow, appended.error);
      const bool intent =
          !flow->refusal.has_value() && flow->decision.verdict == policy::Verdict::kAllow;
      if (!intent) Forget(flow->id);
      return;
    }
    case Appended::What::kLate:
      // The intent did become durable, long after its call was given up: the log must say how it
      // ended. The flow has its ending from Withhold, so it goes on to the outcome record.
      if (!appended.error.empty()) {
        Forget(flow->id);
        return;
      }
      flow->intent = {RecordState::Is::kDurable, appended.seq};
      NoteRecorded(*flow);
      Advance(id);
      return;
  }
}

void Pipeline::OnOutcomeRecorded(const cbor::Bytes& id, const Appended& appended) {
  CallFlow* flow = Find(id);
  if (flow == nullptr) return;
  const bool late = appended.what == Appended::What::kLate && appended.error.empty();
  if (appended.what == Appended::What::kDurable || late) {
    flow->outcome = {RecordState::Is::kDurable, appended.seq};
    Advance(id);
  } else {
    OweOutcome(*flow, appended);
  }
  Pump();
}

// The client is told now and gets nothing; the log is told as soon as it listens again, because an
// intent without outcome would keep its space and say less than is known.
void Pipeline::OweOutcome(CallFlow& flow, const Appended& appended) {
  Ending ending = *flow.ending;
  Withhold(flow, appended.error);
  ending.code = ExitCode::kAudit;
  ending.reason = "the log could not be written when the call ended; its result was withheld";
  End(flow, std::move(ending));
  if (appended.what == Appended::What::kSilent) return;  // kLate follows
  flow.outcome.is = RecordState::Is::kNone;
  flow.deadline_ns = clock_.MonotonicNs() + limits_.owed_ms * kNsPerMs;
}

// The log cannot say what happened: the answer is 74, carries no byte of the result, and the
// worker, where there is one, is ended.
void Pipeline::Withhold(CallFlow& flow, const std::string& why) {
  if (flow.spawned && !flow.done.has_value()) (void)spawn_.Cancel(flow.id);
  flow.reply = CallReply{};
  flow.reply.id = flow.request.id;
  flow.reply.seq = flow.intent.seq;
  flow.reply.code = ExitCode::kAudit;
  flow.reply.message = "the log cannot be written: " + why + "; nothing is released" +
                       (flow.acting ? ", but the call may have run" : "");
  flow.reply.next = "krux gateway status";
  flow.result = WorkerResult{};
  flow.ending.reset();
  Reply(flow);
  End(flow, {audit::Status::kCancelled, ExitCode::kAudit, 0, "the record was not durable in time"});
}

// A copy: what is done to a flow may end it.
std::vector<cbor::Bytes> Pipeline::Ids() const {
  std::vector<cbor::Bytes> ids;
  ids.reserve(flows_.size());
  for (const auto& [id, flow] : flows_) ids.push_back(id);
  return ids;
}

void Pipeline::OnAuditGone() {
  for (const cbor::Bytes& id : Ids()) {
    if (CallFlow* flow = Find(id); flow != nullptr) {
      Withhold(*flow, "krux-auditd is gone");
      Forget(id);
    }
  }
}

void Pipeline::OnSpawnEvent(sandbox::Event event) {
  ApplySpawnEvent(std::move(event));
  Pump();
}

void Pipeline::ApplySpawnEvent(sandbox::Event event) {
  if (auto* built = std::get_if<sandbox::TemplateBuilt>(&event)) {
    OnTemplate(built->tag, nullptr, {});
  } else if (auto* ready = std::get_if<sandbox::Ready>(&event)) {
    CallFlow* flow = Find(ready->call_id);
    if (flow == nullptr || flow->ending.has_value()) return;
    StopPoint("ready");
    flow->ready = true;
    Started(*flow);
    flow->receipt = std::move(ready->receipt);
    Advance(flow->id);
  } else if (auto* done = std::get_if<sandbox::Done>(&event)) {
    CallFlow* flow = Find(done->call_id);
    if (flow == nullptr || flow->ending.has_value()) return;
    if (!flow->acting) {
      OnSandboxFailed(
          *flow, {ExitCode::kSandbox, 0, "spawn", "the worker ended before the call began"}, {});
      Advance(flow->id);
      return;
    }
    StopPoint("done");
    flow->done = std::move(*done);
    Advance(flow->id);
  } else if (auto* failed = std::get_if<sandbox::Failed>(&event)) {
    if (failed->call_id.empty()) {
      OnTemplate(failed->tag, &failed->error, failed->layer);
      return;
    }
    CallFlow* flow = Find(failed->call_id);
    if (flow == nullptr || flow->ending.has_value()) return;
    flow->receipt = std::move(failed->receipt);
    flow->acting = false;  // spawnd fails only what it has not let go, whatever was sent meanwhile
    if (BuildAgain(*flow, failed->error)) return;
    OnSandboxFailed(*flow, failed->error, failed->layer);
    Advance(flow->id);
  } else if (const auto* lost = std::get_if<sandbox::MasksLost>(&event)) {
    OnMasksLost(*lost);
  }
}

// Something secret was in sight of programs, or may have been. krux-spawnd has dropped the template
// and ends what ran in it; how each call ended follows.
void Pipeline::OnMasksLost(const sandbox::MasksLost& lost) {
  const auto it = built_.find(lost.tag);
  const std::shared_ptr<Session> session = it == built_.end() ? nullptr : it->second.lock();
  if (it != built_.end()) built_.erase(it);
  if (session != nullptr) {
    for (TemplateSlot& slot : session->templates) {
      if (slot.tag == lost.tag && slot.state == TemplateSlot::State::kBuilt)
        slot.state = TemplateSlot::State::kAbsent;
    }
  }
  // Which path it was stands in the outcome of each call, as a commitment.
  const cbor::Map details{{"calls", lost.calls}, {"template", lost.tag}};
  audit_.Append(audit::SessionDraft(lost.session_id, "secret_mask_lost", details),
                [](const Appended&) {});
}

// A call that had not begun when its template was found stale: nothing of it has run, so that it
// may start once more from a new one. False where this is not so, or was often enough.
bool Pipeline::BuildAgain(CallFlow& flow, const Error& error) {
  constexpr int kOften = 5;
  if (error.stage != sandbox::kStaleTemplate || ++flow.rebuilds > kOften) return false;
  // Decided under a policy that is none any more: a new template would be of another generation.
  if (flow.plan.spec.generation != flow.session->generation) return false;
  TemplateSlot& slot = flow.session->templates[static_cast<size_t>(flow.plan.spec.work_class)];
  if (slot.state == TemplateSlot::State::kBuilt && slot.tag == flow.template_tag) {
    built_.erase(slot.tag);
    slot.state = TemplateSlot::State::kAbsent;
  }
  const uint64_t deadline = flow.deadline_ns;
  flow.spawned = false;
  flow.ready = false;
  flow.receipt.clear();
  BuildSandbox(flow);
  if (!flow.ending.has_value() && deadline != 0) flow.deadline_ns = deadline;
  Advance(flow.id);
  return true;
}

void Pipeline::OnTemplate(uint64_t tag, const Error* error, const std::string& layer) {
  const auto it = templates_.find(tag);
  if (it == templates_.end()) return;
  const std::shared_ptr<Session> session = it->second;
  templates_.erase(it);
  if (error == nullptr) built_[tag] = session;
  for (TemplateSlot& slot : session->templates) {
    if (slot.tag == tag && slot.state == TemplateSlot::State::kBuilding) Serve(slot, error, layer);
  }
  for (TemplateSlot& slot : session->retired) {
    if (slot.tag == tag) Serve(slot, error, layer);
  }
  if (std::erase_if(session->retired, [tag](const auto& slot) { return slot.tag == tag; }) > 0 &&
      session->retired.empty()) {
    (void)spawn_.DropTemplates(session->id, session->generation - 1);
  }
}

void Pipeline::Serve(TemplateSlot& slot, const Error* error, const std::string& layer) {
  // A failed template is not remembered: the next call tries again.
  slot.state = error == nullptr ? TemplateSlot::State::kBuilt : TemplateSlot::State::kAbsent;
  const std::vector<cbor::Bytes> waiting = std::exchange(slot.waiting, {});
  for (const cbor::Bytes& id : waiting) {
    CallFlow* flow = Find(id);
    if (flow == nullptr || flow->ending.has_value()) continue;
    if (error == nullptr) {
      SendSpawn(*flow);
    } else {
      OnSandboxFailed(*flow, *error, layer);
    }
    Advance(id);
  }
}

void Pipeline::Renew(Session& session) {
  for (TemplateSlot& slot : session.templates) {
    const TemplateSlot former = std::exchange(slot, {});
    if (former.state == TemplateSlot::State::kBuilding) session.retired.push_back(former);
  }
  if (session.retired.empty()) (void)spawn_.DropTemplates(session.id, session.generation);
  ++session.generation;
}

// Before Go nothing of the call has run; after it nobody can say.
void Pipeline::OnSandboxFailed(CallFlow& flow, const Error& error, const std::string& layer) {
  if (flow.acting) {
    End(flow, {audit::Status::kUnknown, ExitCode::kInternal, error.sys_errno,
               "the sandbox was lost while the call ran: " + error.message +
                   "; what it did until then stays"});
    return;
  }
  if (const std::string trees = TreesBelow(flow.session->work, flow.plan.spec);
      layer == "landlock" && error.sys_errno == ENOENT && !trees.empty()) {
    End(flow, {audit::Status::kSetupFailed, ExitCode::kNotFound, error.sys_errno,
               "the policy gives programs " + trees +
                   ", and not all of that is there; make it, and "
                   "call again; nothing ran"});
    return;
  }
  std::string reason = layer.empty() ? error.message : "layer `" + layer + "`: " + error.message;
  if (reason.find("nothing ran") == std::string::npos) reason += "; nothing ran";
  End(flow, {audit::Status::kSetupFailed, error.code, error.sys_errno, std::move(reason)});
}

void Pipeline::OnSpawnGone() {
  std::vector<cbor::Bytes> ids;
  for (const auto& [id, flow] : flows_) {
    if (flow->asked && !flow->ending.has_value()) ids.push_back(id);
  }
  templates_.clear();
  built_.clear();
  const Error gone{ExitCode::kSandbox, 0, "spawn", "krux-spawnd is gone"};
  for (const cbor::Bytes& id : ids) {
    CallFlow* flow = Find(id);
    if (flow == nullptr || flow->ending.has_value() || flow->done.has_value()) continue;
    OnSandboxFailed(*flow, gone, {});
    Advance(id);
  }
  Pump();
}

void Pipeline::OnClientGone(uint64_t connection) {
  std::vector<cbor::Bytes> ids;
  for (const auto& [id, flow] : flows_) {
    if (flow->connection == connection) ids.push_back(id);
  }
  for (const cbor::Bytes& id : ids) {
    if (CallFlow* flow = Find(id); flow != nullptr) {
      flow->connection = 0;
      Cancel(*flow, ExitCode::kInterrupted, "the client hung up");
    }
  }
  client_refusals_.erase(connection);
  Pump();
}

void Pipeline::CancelAll() {
  for (const cbor::Bytes& id : Ids()) {
    CallFlow* flow = Find(id);
    if (flow == nullptr) continue;
    flow->stopping = true;
    Cancel(*flow, ExitCode::kUnreachable, "the gateway is stopping; nothing ran, call again");
  }
}

// A call that has begun is killed and its end awaited; one that has not ends here.
void Pipeline::Cancel(CallFlow& flow, ExitCode code, const char* reason) {
  if (flow.stage == Stage::kAdmit) {
    const uint64_t now = clock_.MonotonicNs();
    // Hanging up must not be a way to write more into the log than refusals may.
    if (flow.connection == 0 && RefusalsOf(flow.peer.uid, now).Overdrawn(now)) {
      ++dropped_;
      Leave(flow);
      Forget(flow.id);
    } else {
      SendAway(flow, code, reason);
    }
    return;
  }
  if (!flow.asked || flow.ending.has_value() || flow.done.has_value()) return;
  if (flow.spawned) (void)spawn_.Cancel(flow.id);
  if (flow.acting) return;  // Done(kCancelled) follows
  End(flow, {audit::Status::kCancelled, code, 0, reason});
  Advance(flow.id);
}

void Pipeline::Tick() {
  const uint64_t now = clock_.MonotonicNs();
  std::vector<cbor::Bytes> overdue;
  for (const auto& [id, flow] : flows_) {
    // What takes so long does not want the processor: a disk, a file system. Others may begin.
    if (flow->starting_ns != 0 && now > flow->starting_ns + kSlowStartNs) Started(*flow);
    if (flow->deadline_ns != 0 && flow->deadline_ns <= now) overdue.push_back(id);
  }
  for (const cbor::Bytes& id : overdue) {
    CallFlow* flow = Find(id);
    if (flow == nullptr) continue;
    if (flow->ending.has_value()) {  // an outcome that the log did not take
      flow->deadline_ns = 0;
      Advance(id);
      continue;
    }
    if (flow->stage == Stage::kAdmit) {
      SendAway(*flow, ExitCode::kBusy, "its turn did not come in time; retry");
      continue;
    }
    if (flow->spawned) (void)spawn_.Cancel(flow->id);
    if (flow->acting) {
      End(*flow, {audit::Status::kTimeout, ExitCode::kTimeout, 0, "the call ran out of time"});
    } else {
      overdue_setup_ns_ = flow->deadline_ns - limits_.bounds.setup_ms * kNsPerMs;
      End(*flow, {audit::Status::kSetupFailed, ExitCode::kSandbox, 0,
                  "the sandbox was not ready in time; nothing ran"});
    }
    Advance(id);
  }
  for (auto it = agent_refusals_.begin(); it != agent_refusals_.end();)
    it = it->second.Full(now) ? agent_refusals_.erase(it) : std::next(it);
  Pump();
}

}  // namespace krux::gateway
