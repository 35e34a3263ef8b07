// The records of one call: what a CallFlow says in the log. docs/AUDIT_FORMAT.md words the fields.
//
//   audit.Append(ToDraft(IntentOf(flow, limits)), …);    // also denials and deferrals
//   audit.Append(ToDraft(OutcomeOf(flow)), …);
//
// Arguments and results enter as commitments (audit/record.h); nothing of them stands in clear.
#pragma once

#include "audit/record.h"
#include "gateway/lattice.h"
#include "gateway/pipeline.h"

namespace krux::gateway {

audit::Intent IntentOf(const CallFlow& flow, const Pipeline::Limits& limits);
audit::Outcome OutcomeOf(const CallFlow& flow);
// What the session pays for. A worker whose end nobody saw is charged until `now_ns`.
Used UsedBy(const CallFlow& flow, uint64_t now_ns);

// "uid:1000": who an agent is until agents have names of their own.
std::string AgentOf(const PeerCredentials& peer);
// {"private_data", …}, the legs in `exposure`.
std::vector<std::string> LegNames(policy::Exposure exposure);
// The exit code of a decision below allow.
ExitCode CodeOf(const policy::Decision& decision);

}  // namespace krux::gateway
