#include "tools/lost_call.h"

#include <optional>

#include "audit/verify/reader.h"
#include "audit/verify/schema.h"
#include "tools/record_text.h"

namespace krux::tools {
namespace {

using audit::verify::LogReader;
using audit::verify::RecordView;

struct Trail {
  uint64_t intent = 0;   // or denial; 0: there is no record of the call
  uint64_t closing = 0;  // outcome or recovered; 0: none
  bool recovered = false;
  std::string status;  // of the outcome
};

bool IsOf(const cbor::Map& record, const LostCall& call) {
  const cbor::Value* session = record.Find("session");
  const cbor::Value* peer = record.Find("peer");
  return session != nullptr && *session == cbor::Value(call.session) && peer != nullptr &&
         peer->map() != nullptr && NumberIn(*peer->map(), "request") == call.request;
}

Result<Trail> FollowLog(const std::string& dir, const LostCall& call) {
  Trail trail;
  LogReader reader(dir);
  for (RecordView view; reader.Next(&view);) {
    const bool closes =
        view.kind == audit::verify::kOutcome || view.kind == audit::verify::kRecovered;
    const bool begins = view.kind == audit::verify::kIntent ||
                        view.kind == audit::verify::kDenial ||
                        view.kind == audit::verify::kDeferral;
    if (!closes && !begins) continue;
    const cbor::Map record = KRUX_TRY(NamedRecord(view));
    if (!closes && IsOf(record, call)) {
      trail = Trail{};
      trail.intent = view.seq;
      if (view.kind != audit::verify::kIntent) trail.status = TextIn(record, "decision");
    } else if (closes && trail.intent != 0 && NumberIn(record, "intent_seq") == trail.intent) {
      trail.closing = view.seq;
      trail.recovered = view.kind == audit::verify::kRecovered;
      trail.status = TextIn(record, "status");
    }
  }
  if (!reader.error().empty()) return Fail(ExitCode::kAudit, "read the log", reader.error());
  return trail;
}

std::string Sentence(const Trail& trail) {
  const std::string intent = std::to_string(trail.intent);
  if (trail.intent == 0)
    return "the gateway ended before it answered this call, and the log has no intent of it: "
           "nothing ran, call again";
  if (trail.closing == 0 && !trail.status.empty())
    return "the gateway ended before it answered this call; nothing ran, the decision was `" +
           trail.status + "` [record " + intent + "]";
  if (trail.closing == 0 || trail.recovered)
    return "the gateway ended before it answered this call; it may have run and its result is "
           "lost: see `krux audit show " +
           intent + "` before you call again [record " + intent + "]";
  return "the gateway ended before it answered this call; it ended with `" + trail.status +
         "`, but its result is lost [records " + intent + ", " + std::to_string(trail.closing) +
         "]";
}

}  // namespace

Error WhatBecameOf(const gateway::GatewayPaths& paths, const gateway::StartOptions& start,
                   const LostCall& call, Error lost) {
  // The next generation first: it recovers before it serves, so that what is written is all there
  // will ever be of this call.
  const auto next = gateway::EnsureGateway(paths, start);
  if (!next) return lost;
  const Result<Trail> trail = FollowLog(paths.audit_dir, call);
  if (trail) lost.message = Sentence(*trail);
  return lost;
}

}  // namespace krux::tools
