// Who is next: the line in which calls wait for their turn, and what becomes of those that leave
// it.
#include <string>
#include <utility>

#include "gateway/call_records.h"
#include "gateway/pipeline.h"

namespace krux::gateway {
namespace {

constexpr uint64_t kNsPerMs = 1'000'000;
constexpr uint64_t kConnectionsShare = 4;  // of its agent's allowance for refusals

Turnstile::Path PathOf(const CallFlow& flow) {
  const std::string session(flow.request.session.begin(), flow.request.session.end());
  return {AgentOf(flow.peer), flow.session == nullptr ? std::string() : session,
          std::to_string(flow.connection)};
}

}  // namespace

Allowance& Pipeline::RefusalsOf(uid_t agent, uint64_t now_ns) {
  return agent_refusals_.try_emplace(agent, limits_.bounds.refusals_per_second, now_ns)
      .first->second;
}

// Who comes while its agent has used up its allowance begins with none: a refused client gains
// nothing by connecting again.
Allowance& Pipeline::RefusalsOf(const CallFlow& flow, uint64_t now_ns) {
  const auto it = client_refusals_.find(flow.connection);
  if (it != client_refusals_.end()) return it->second;
  Allowance fresh(limits_.bounds.refusals_per_second / kConnectionsShare + 1, now_ns);
  if (RefusalsOf(flow.peer.uid, now_ns).Overdrawn(now_ns)) fresh.Empty();
  return client_refusals_.emplace(flow.connection, fresh).first->second;
}

void Pipeline::SpendRefusal(const CallFlow& flow) {
  const uint64_t now = clock_.MonotonicNs();
  RefusalsOf(flow.peer.uid, now).Spend(now);
  if (flow.connection != 0) RefusalsOf(flow, now).Spend(now);
}

bool Pipeline::Exhausted(uid_t uid, uint64_t now_ns) {
  if (line_.HasPlace({AgentOf({0, uid, 0}), "new", "new"})) return false;
  return RefusalsOf(uid, now_ns).Overdrawn(now_ns);
}

void Pipeline::Queue(CallFlow& flow) {
  const std::optional<uint64_t> ticket = line_.Enter(PathOf(flow));
  if (!ticket) {
    flow.refusal = Error{ExitCode::kBusy, 0, "admit", "too many calls are waiting; retry"};
    Advance(flow.id);
    return;
  }
  flow.ticket = *ticket;
  flow.deadline_ns = clock_.MonotonicNs() + limits_.bounds.wait_ms * kNsPerMs;
  tickets_[*ticket] = flow.id;
  Pump();
}

void Pipeline::Pump() {
  if (std::exchange(pumping_, true)) return;
  const uint64_t now = clock_.MonotonicNs();
  const auto may_pass = [&](uint64_t ticket) {
    const CallFlow& flow = *Find(tickets_.at(ticket));
    if (may_begin_ && !may_begin_(flow.connection)) return false;
    Allowance& own = RefusalsOf(flow, now);
    if (own.Overdrawn(now)) return false;
    // One bad client does not cost the others of its agent their turn.
    return own.Full(now) || !RefusalsOf(flow.peer.uid, now).Overdrawn(now);
  };
  while (starting_ < limits_.bounds.calls_starting) {
    const std::optional<uint64_t> ticket = line_.Next(may_pass);
    if (!ticket) break;
    const cbor::Bytes id = std::move(tickets_.extract(*ticket).mapped());
    CallFlow& flow = *Find(id);
    flow.passed = true;
    flow.starting_ns = now;
    flow.deadline_ns = 0;
    ++starting_;
    Advance(id);
  }
  pumping_ = false;
}

// The sandbox stands, or there will be none: the next one may be built.
void Pipeline::Started(CallFlow& flow) {
  if (std::exchange(flow.starting_ns, 0) == 0) return;
  --starting_;
}

void Pipeline::Leave(CallFlow& flow) {
  Started(flow);
  tickets_.erase(flow.ticket);
  line_.Done(std::exchange(flow.ticket, 0));
}

// A call that waits and will not have its turn: recorded and answered as refused.
void Pipeline::SendAway(CallFlow& flow, ExitCode code, std::string why) {
  Leave(flow);
  flow.deadline_ns = 0;
  flow.refusal = Error{code, 0, "admit", std::move(why)};
  Advance(flow.id);
}

}  // namespace krux::gateway
