#include "audit/record.h"

#include "audit/hash.h"
#include "base/clock.h"
#include "base/digest.h"

namespace krux::audit {
namespace {

constexpr size_t kMaxName = 1024;  // bytes of an agent, capability or rule as it stands in a record

// Names come from the caller; a record says at most their first kibibyte.
std::string Clip(const std::string& text) {
  return text.size() <= kMaxName ? text : text.substr(0, kMaxName - 3) + "...";
}

cbor::Array Texts(const std::vector<std::string>& texts) {
  cbor::Array out;
  for (const std::string& text : texts) out.emplace_back(Clip(text));
  return out;
}

template <typename Number>
cbor::Value OrNull(const std::optional<Number>& number) {
  return number.has_value() ? cbor::Value(*number) : cbor::Value();
}

// More than fits beside the result goes by digest: an outcome always fits the room that was kept.
cbor::Value BoundedReceipt(const cbor::Value& receipt) {
  const cbor::Bytes encoded = cbor::Encode(receipt);
  if (encoded.size() <= kMaxOpenedValue) return receipt;
  return cbor::Map{{"digest", cbor::Array{cbor::Map{{"bytes", uint64_t{encoded.size()}},
                                                    {"sha256", Sha256(encoded)}},
                                          "self"}}};
}

// Puts the commitment into the body and its opening beside the record.
void SetCommitted(Draft* draft, uint64_t key, Committed field) {
  draft->body.Set(key, std::move(field.commit));
  if (draft->openings.map() == nullptr) draft->openings = cbor::Map();
  cbor::Array opening;
  opening.emplace_back(std::move(field.salt));
  opening.push_back(std::move(field.value));
  draft->openings.map()->Set(key, std::move(opening));
}

}  // namespace

const char* Name(Kind kind) {
  switch (kind) {
    case Kind::kSegment:
      return "segment";
    case Kind::kIntent:
      return "intent";
    case Kind::kOutcome:
      return "outcome";
    case Kind::kDenial:
      return "denial";
    case Kind::kDeferral:
      return "deferral";
    case Kind::kApproval:
      return "approval";
    case Kind::kCheckpoint:
      return "checkpoint";
    case Kind::kKeyRotate:
      return "keyrotate";
    case Kind::kPolicy:
      return "policy";
    case Kind::kSession:
      return "session";
    case Kind::kAdmin:
      return "admin";
    case Kind::kRedaction:
      return "redaction";
    case Kind::kGap:
      return "gap";
    case Kind::kRecovered:
      return "recovered";
    case Kind::kHeartbeat:
      return "heartbeat";
    case Kind::kSink:
      return "sink";
    case Kind::kSeal:
      return "seal";
    case Kind::kGrant:
      return "grant";
  }
  return "unknown";
}

const char* Name(DecisionCode decision) {
  switch (decision) {
    case DecisionCode::kAllow:
      return "allow";
    case DecisionCode::kDeny:
      return "deny";
    case DecisionCode::kAsk:
      return "ask";
  }
  return "unknown";
}

const char* Name(Status status) {
  switch (status) {
    case Status::kOk:
      return "ok";
    case Status::kFailed:
      return "failed";
    case Status::kKilled:
      return "killed";
    case Status::kTimeout:
      return "timeout";
    case Status::kSetupFailed:
      return "setup_failed";
    case Status::kUnknown:
      return "unknown";
    case Status::kRefused:
      return "refused";
    case Status::kOom:
      return "oom";
    case Status::kCancelled:
      return "cancelled";
    case Status::kPids:
      return "pids";
    case Status::kOutput:
      return "output";
  }
  return "unknown";
}

cbor::Bytes CommitmentOf(std::string_view label, const cbor::Bytes& salt,
                         const cbor::Value& value) {
  cbor::Bytes message(label.begin(), label.end());
  const cbor::Bytes encoded = cbor::Encode(value);
  message.insert(message.end(), encoded.begin(), encoded.end());
  return HmacSha256(salt, message);
}

Committed Commit(std::string_view label, cbor::Value value) {
  Committed field;
  field.salt.resize(kHashBytes);
  SystemRandom().Fill(field.salt);
  const cbor::Bytes encoded = cbor::Encode(value);
  if (encoded.size() > kMaxOpenedValue) {
    value = cbor::Map{{"bytes", uint64_t{encoded.size()}}, {"sha256", Sha256(encoded)}};
  }
  field.commit = CommitmentOf(label, field.salt, value);
  field.value = std::move(value);
  return field;
}

Draft ToDraft(const Intent& intent) {
  Draft draft;
  switch (intent.decision) {
    case DecisionCode::kAllow:
      draft.kind = Kind::kIntent;
      break;
    case DecisionCode::kDeny:
      draft.kind = Kind::kDenial;
      break;
    case DecisionCode::kAsk:
      draft.kind = Kind::kDeferral;
      break;
  }
  cbor::Map& body = draft.body;
  body.Set(0u, intent.call_id);
  body.Set(1u, intent.session);
  body.Set(2u, Clip(intent.agent));
  body.Set(3u, Clip(intent.capability));
  SetCommitted(&draft, 4, Commit(kArgsLabel, intent.args));
  body.Set(5u, static_cast<unsigned>(intent.decision));
  body.Set(6u, Texts(intent.rules));
  body.Set(7u, intent.policy_hash);
  body.Set(8u, intent.state_before);
  body.Set(9u, intent.state_after);
  body.Set(10u, intent.inputs);
  body.Set(13u, intent.layers_required);
  body.Set(14u, intent.layers_degraded);
  if (!intent.spec_digest.empty()) body.Set(15u, intent.spec_digest);
  body.Set(16u, intent.footprint);
  body.Set(17u, intent.policy_epoch);
  body.Set(18u, intent.peer);
  if (!intent.budget_after.empty()) {
    body.Set(19u, intent.budget_before);
    body.Set(20u, intent.budget_after);
  }
  return draft;
}

Draft ToDraft(const Outcome& outcome) {
  Draft draft;
  draft.kind = Kind::kOutcome;
  cbor::Map& body = draft.body;
  body.Set(0u, outcome.call_id);
  body.Set(1u, outcome.intent_seq);
  body.Set(2u, static_cast<unsigned>(outcome.status));
  body.Set(3u, outcome.exit_code);
  body.Set(4u, outcome.detail);
  SetCommitted(&draft, 5, Commit(kResultLabel, outcome.result));
  body.Set(6u, outcome.result_bytes);
  // Null, not a zero, for what nobody measured.
  body.Set(7u, cbor::Array{outcome.cpu_us, outcome.wall_us, outcome.max_rss_kib,
                           OrNull(outcome.read_bytes), OrNull(outcome.written_bytes),
                           OrNull(outcome.files)});
  body.Set(8u, BoundedReceipt(outcome.receipt));
  if (!outcome.state_after.empty()) body.Set(10u, outcome.state_after);
  if (!outcome.reason.empty()) {
    SetCommitted(&draft, 11, Commit(kReasonLabel, Clip(outcome.reason)));
  }
  if (!outcome.budget_after.empty()) {
    body.Set(12u, outcome.budget_before);
    body.Set(13u, outcome.budget_after);
  }
  return draft;
}

Draft SessionDraft(const cbor::Bytes& session, std::string_view event, cbor::Map details) {
  return {Kind::kSession, cbor::Map{{0u, session}, {1u, event}, {2u, std::move(details)}}, nullptr};
}

Draft AdminDraft(std::string_view event, cbor::Map details) {
  return {Kind::kAdmin, cbor::Map{{0u, event}, {1u, std::move(details)}}, nullptr};
}

Draft PolicyDraft(const cbor::Bytes& policy_hash, std::string_view name, uint64_t epoch) {
  return {Kind::kPolicy, cbor::Map{{0u, policy_hash}, {1u, name}, {2u, epoch}}, nullptr};
}

}  // namespace krux::audit
