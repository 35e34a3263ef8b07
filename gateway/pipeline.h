// Pipeline: one call, once through. Ten stages, one CallFlow per call; each event moves its flow as
// far as it can go without waiting. Read Advance() in pipeline.cc from top to bottom: it is the
// design.
//
//   Pipeline pipeline(clock, random, audit, spawn, limits, answer);
//   pipeline.Begin(connection, peer, session, std::move(request));     // the answer comes later,
//   once
//
// INVARIANT: no worker gets Go before its intent record is durable, and no result leaves before its
// outcome record is durable. When the log cannot say so, the answer is 74 and carries no byte.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/channel.h"
#include "base/event_loop.h"
#include "gateway/allowance.h"
#include "gateway/audit_link.h"
#include "gateway/bounds.h"
#include "gateway/ending.h"
#include "gateway/protocol.h"
#include "gateway/session.h"
#include "gateway/spawn_link.h"
#include "gateway/turnstile.h"
#include "gateway/worker_result.h"
#include "runtime/plan.h"

namespace krux::gateway {

enum class Stage : uint8_t {
  kAdmit,    // 1 its turn, then peer and session
  kBind,     // 2 arguments → typed, defaults filled in
  kPlan,     // 3 Spec and Footprint
  kDecide,   // 4 the policy kernel
  kRecord,   // 5 intent, denial or deferral → krux-auditd
  kApprove,  // 6 deny and ask leave here, once they are durable
  kSpawn,    // 7 the sandbox is built while the disk works; Go needs both
  kCollect,  // 8 the worker's end, its result, judged
  kOutcome,  // 9 outcome → krux-auditd
  kReply,    // 10
};
const char* Name(Stage stage);

// Where a record of a flow stands.
struct RecordState {
  enum class Is : uint8_t { kNone, kPending, kDurable, kFailed };
  Is is = Is::kNone;
  uint64_t seq = 0;
  bool settled() const { return is == Is::kDurable || is == Is::kFailed; }
};

struct CallFlow {
  Stage stage = Stage::kAdmit;
  cbor::Bytes id;           // 16 random bytes
  uint64_t connection = 0;  // 0: the client is gone
  PeerCredentials peer;
  CallRequest request;
  std::shared_ptr<Session> session;  // null: the request names none of this peer's
  std::optional<Error> refusal;      // set by stages 1–3: no decision is reached

  const runtime::Capability* capability = nullptr;
  UniqueFd input;  // as it came, until stage 2 has judged it; then sealed, until it is spawned
  cbor::Map args;
  runtime::Plan plan;
  cbor::Bytes spec_digest;  // SHA-256 of the Spec's CBOR, in the intent
  uint64_t now_ms = 0;      // what decide() was told
  policy::State before;
  policy::Decision decision;
  cbor::Bytes labelled_work;       // id of the WORK that `labels` belong to
  cbor::Array labels;              // new ones that the call leaves behind, for its intent
  policy::Exposure late_legs = 0;  // what it brought beyond its contribution

  RecordState intent;
  uint64_t ticket = 0;        // its place in the line; 0: none
  bool passed = false;        // its turn came
  uint64_t starting_ns = 0;   // since when it counts as one whose sandbox is being built; 0: not
  bool asked = false;         // stage 7 was begun
  uint64_t template_tag = 0;  // of the template that it was spawned from
  int rebuilds = 0;           // how often its template was found stale before it began
  bool spawned = false;       // Spawn was sent
  bool ready = false;         // confined, measured, waiting
  bool acting = false;        // Go was sent
  uint64_t go_ns = 0;         // when
  sandbox::Receipt receipt;
  bool stopping = false;  // cancelled because the gateway stops
  std::optional<sandbox::Done> done;
  std::optional<Ending> ending;  // set: what is left is to record and reply
  WorkerResult result;
  RecordState outcome;
  bool charged = false;       // its session has paid for it
  policy::State before_cost;  // of its session, when the outcome was recorded

  CallReply reply;
  bool answered = false;
  uint64_t deadline_ns = 0;  // of the stage, or of the next attempt to record; 0 = none
};

class Pipeline {
 public:
  struct Limits {
    Bounds bounds;
    size_t flows = 512;      // with those that only wait for a late record
    uint64_t owed_ms = 500;  // between attempts to record the outcome of a call
    sandbox::Limits sandbox;
    sandbox::LayerMask degraded = 0;
    uint64_t policy_epoch = 1;
    decltype(&policy::Decide) decide = &policy::Decide;  // tests put a kernel here that asks
  };
  // Called once per call, with a descriptor when reply.bytes > 0.
  using Answer = std::function<void(uint64_t connection, const CallReply& reply, UniqueFd result)>;

  // Whether a call of this connection may begin now; false leaves the turn to others.
  using MayBegin = std::function<bool(uint64_t connection)>;

  Pipeline(const Clock& clock, Random& random, AuditLink& audit, SpawnLink& spawn, Limits limits,
           Answer answer, MayBegin may_begin = {});
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // A call arrived. `session` is null when the peer has none of that id.
  // `input` is the descriptor that came with it, if any.
  void Begin(uint64_t connection, const PeerCredentials& peer, std::shared_ptr<Session> session,
             CallRequest request, UniqueFd input = {});
  // A call frame that could not be read: recorded like any refused call.
  void Refuse(uint64_t connection, const PeerCredentials& peer, CallRequest remains, Error error);
  // TemplateBuilt, Ready, Done, Failed and MasksLost of krux-spawnd.
  void OnSpawnEvent(sandbox::Event event);
  void OnSpawnGone();
  void OnAuditGone();
  // The client hung up: its calls are cancelled and still recorded.
  void OnClientGone(uint64_t connection);
  // The gateway stops: every call is cancelled, and its client told so (69).
  void CancelAll();
  // What `session` may do has changed: calls that are decided from now on get templates of their
  // own, and those that still wait for an older one get that. Raises the session's generation.
  void Renew(Session& session);
  // Of the policies that decisions are made under, from now on; every record names it.
  void SetPolicyEpoch(uint64_t epoch) { limits_.policy_epoch = epoch; }
  uint64_t policy_epoch() const { return limits_.policy_epoch; }
  // Checks deadlines; called a few times a second while something is pending.
  void Tick();

  size_t in_flight() const { return line_.passed(); }
  size_t waiting() const { return line_.waiting(); }
  size_t flows() const { return flows_.size(); }
  bool full() const { return flows_.size() >= limits_.flows; }
  // One more call of `uid` would be refused, and the log has had enough of its refusals for now:
  // better not to read it.
  bool Exhausted(uid_t uid, uint64_t now_ns);
  uint64_t answered() const { return answered_; }
  // The labels of files, for what is known of them from the log.
  runtime::LabelStore& labels() { return labels_; }
  // When krux-spawnd was asked for a sandbox that is overdue; 0 where none became so since this was
  // last asked.
  uint64_t TakeOverdueSetup() { return std::exchange(overdue_setup_ns_, 0); }
  // Calls that waited when their client hung up and whose refusals the log had no room for, since
  // this was last asked.
  uint64_t TakeDropped() { return std::exchange(dropped_, 0); }

 private:
  CallFlow& Add(uint64_t connection, const PeerCredentials& peer, CallRequest request);
  void Queue(CallFlow& flow);
  // Lets everybody pass whose turn it is.
  void Pump();
  void Leave(CallFlow& flow);
  void Started(CallFlow& flow);
  void SendAway(CallFlow& flow, ExitCode code, std::string why);
  Allowance& RefusalsOf(uid_t agent, uint64_t now_ns);
  Allowance& RefusalsOf(const CallFlow& flow, uint64_t now_ns);
  void SpendRefusal(const CallFlow& flow);
  void Advance(const cbor::Bytes& id);
  void Step(CallFlow& flow, bool& waits);
  // The stages.
  Result<void> Admit(CallFlow& flow);
  Result<void> Bind(CallFlow& flow);
  Result<void> Plan(CallFlow& flow);
  void Decide(CallFlow& flow);
  void Record(CallFlow& flow);
  void ReplyWithoutEffect(CallFlow& flow);
  void BuildSandbox(CallFlow& flow);
  void SendSpawn(CallFlow& flow);
  void Release(CallFlow& flow);
  void Collect(CallFlow& flow);
  void RecordOutcome(CallFlow& flow);
  void Reply(CallFlow& flow);
  // Labels and exposure (pipeline_labels.cc).
  void NoteSources(CallFlow& flow, policy::Exposure before);
  void NoteRecorded(const CallFlow& flow);
  void Label(CallFlow& flow);
  void Expose(CallFlow& flow, policy::Exposure legs);
  void ExposeToWhatWasFound(CallFlow& flow);
  // Events.
  void OnIntentRecorded(const cbor::Bytes& id, const Appended& appended);
  void ApplyIntent(const cbor::Bytes& id, const Appended& appended);
  void ApplySpawnEvent(sandbox::Event event);
  void OnOutcomeRecorded(const cbor::Bytes& id, const Appended& appended);
  void OnTemplate(uint64_t tag, const Error* error, const std::string& layer);
  void Serve(TemplateSlot& slot, const Error* error, const std::string& layer);
  void OnMasksLost(const sandbox::MasksLost& lost);
  bool BuildAgain(CallFlow& flow, const Error& error);
  void OnSandboxFailed(CallFlow& flow, const Error& error, const std::string& layer);
  void Withhold(CallFlow& flow, const std::string& why);
  void OweOutcome(CallFlow& flow, const Appended& appended);
  void Cancel(CallFlow& flow, ExitCode code, const char* reason);
  void End(CallFlow& flow, Ending ending);
  void Forget(const cbor::Bytes& id);
  CallFlow* Find(const cbor::Bytes& id);
  std::vector<cbor::Bytes> Ids() const;

  const Clock& clock_;
  Random& random_;
  AuditLink& audit_;
  SpawnLink& spawn_;
  Limits limits_;
  Answer answer_;
  std::map<cbor::Bytes, std::unique_ptr<CallFlow>> flows_;
  runtime::LabelStore labels_;
  std::map<uint64_t, std::shared_ptr<Session>> templates_;  // BuildTemplate under way, by tag
  std::map<uint64_t, std::weak_ptr<Session>> built_;        // templates that stand, by tag
  uint64_t next_tag_ = 1ull << 32;                          // apart from the tags of OpenWork
  MayBegin may_begin_;
  Turnstile line_;                                 // of agents, sessions, connections
  std::map<uint64_t, cbor::Bytes> tickets_;        // of those that wait
  std::map<uid_t, Allowance> agent_refusals_;      // records of calls that did not run
  std::map<uint64_t, Allowance> client_refusals_;  // by connection
  size_t starting_ = 0;
  bool pumping_ = false;
  uint64_t answered_ = 0;
  uint64_t dropped_ = 0;
  uint64_t overdue_setup_ns_ = 0;
};

}  // namespace krux::gateway
