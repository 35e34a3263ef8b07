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
#include <vector>

#include "base/channel.h"
#include "base/event_loop.h"
#include "gateway/audit_link.h"
#include "gateway/ending.h"
#include "gateway/protocol.h"
#include "gateway/session.h"
#include "gateway/spawn_link.h"
#include "gateway/worker_result.h"
#include "runtime/plan.h"

namespace krux::gateway {

enum class Stage : uint8_t {
  kAdmit,    // 1 peer, session, queue bounds
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
  cbor::Map args;
  runtime::Plan plan;
  cbor::Bytes spec_digest;  // SHA-256 of the Spec's CBOR, in the intent
  uint64_t now_ms = 0;      // what decide() was told
  policy::State before;
  policy::Decision decision;

  RecordState intent;
  bool counted = false;  // in the bounds of session and gateway
  bool asked = false;    // stage 7 was begun
  bool spawned = false;  // Spawn was sent
  bool ready = false;    // confined, measured, waiting
  bool acting = false;   // Go was sent
  sandbox::Receipt receipt;
  std::optional<sandbox::Done> done;
  std::optional<Ending> ending;  // set: what is left is to record and reply
  WorkerResult result;
  RecordState outcome;

  CallReply reply;
  bool answered = false;
  uint64_t deadline_ns = 0;  // of the stage, 0 = none
};

class Pipeline {
 public:
  struct Limits {
    size_t calls_per_session = 8;  // in flight; more are kBusy
    size_t calls_total = 32;
    size_t flows = 512;          // with those that only wait for a late record
    uint64_t setup_ms = 10'000;  // template and sandbox
    uint64_t grace_ms = 5'000;   // over Limits::wall_ms, for spawnd to report the end
    sandbox::Limits sandbox;
    sandbox::LayerMask degraded = 0;
    uint64_t policy_epoch = 1;
    decltype(&policy::Decide) decide = &policy::Decide;  // tests put a kernel here that asks
  };
  // Called once per call, with a descriptor when reply.bytes > 0.
  using Answer = std::function<void(uint64_t connection, const CallReply& reply, UniqueFd result)>;

  Pipeline(const Clock& clock, Random& random, AuditLink& audit, SpawnLink& spawn, Limits limits,
           Answer answer);
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // A call arrived. `session` is null when the peer has none of that id.
  void Begin(uint64_t connection, const PeerCredentials& peer, std::shared_ptr<Session> session,
             CallRequest request);
  // A call frame that could not be read: recorded like any refused call.
  void Refuse(uint64_t connection, const PeerCredentials& peer, CallRequest remains, Error error);
  // TemplateBuilt, Ready, Done and Failed of krux-spawnd.
  void OnSpawnEvent(sandbox::Event event);
  void OnSpawnGone();
  void OnAuditGone();
  // The client hung up: its calls are cancelled and still recorded.
  void OnClientGone(uint64_t connection);
  // The gateway stops: every call is cancelled.
  void CancelAll();
  // Checks deadlines; called a few times a second while something is pending.
  void Tick();

  size_t in_flight() const { return in_flight_; }
  size_t flows() const { return flows_.size(); }
  bool full() const { return flows_.size() >= limits_.flows; }
  uint64_t answered() const { return answered_; }

 private:
  CallFlow& Add(uint64_t connection, const PeerCredentials& peer, CallRequest request);
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
  // Events.
  void OnIntentRecorded(const cbor::Bytes& id, const Appended& appended);
  void OnOutcomeRecorded(const cbor::Bytes& id, const Appended& appended);
  void OnTemplate(uint64_t tag, const Error* error, const std::string& layer);
  void OnSandboxFailed(CallFlow& flow, const Error& error, const std::string& layer);
  void Withhold(CallFlow& flow, const std::string& why);
  void Cancel(CallFlow& flow, const char* reason);
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
  std::map<uint64_t, std::shared_ptr<Session>> templates_;  // BuildTemplate under way, by tag
  uint64_t next_tag_ = 1ull << 32;                          // apart from the tags of OpenWork
  size_t in_flight_ = 0;
  uint64_t answered_ = 0;
};

}  // namespace krux::gateway
