#include "verification/diff/bounds.h"

#include <algorithm>
#include <cstring>

namespace krux::diff {
namespace {

constexpr uint64_t kMost = UINT64_MAX;
constexpr uint64_t kSession[2] = {1, 2}, kPolicy[4] = {3, 4, 5, 6};

#define KRUX_HOLD(property) \
  if (!(property)) return #property

struct Full {
  uint64_t words[KRUX_BUDGETS];
  uint64_t beyond = 7;
  explicit Full(uint64_t value) { std::fill(std::begin(words), std::end(words), value); }
};

krux_state Begun(const Kernel& kernel, uint64_t limit) {
  krux_state state;
  const krux_policy top = kernel.top();
  kernel.begin(&state, &top, Full(limit).words, kSession, kPolicy);
  return state;
}

krux_call Reading(uint64_t cost) {
  krux_call call{};
  call.dimension = KRUX_DIM_READ_FILES;
  call.scopes = call.inside = UINT32_MAX;
  call.footprint.within_grants = true;
  std::fill(std::begin(call.cost), std::end(call.cost), cost);
  return call;
}

std::string Calls(const Kernel& kernel) {
  krux_decision decision;
  krux_state state = Begun(kernel, kMost);
  krux_call call = Reading(kMost);
  kernel.call(&state, &call, 0, &decision);
  KRUX_HOLD(decision.verdict == KRUX_ALLOW);
  KRUX_HOLD(state.remaining[KRUX_BUDGET_TOKENS_OUT] == 0);
  kernel.call(&state, &call, 0, &decision);
  KRUX_HOLD(decision.verdict == KRUX_DENY);

  // The number of calls stops; it does not begin again.
  state = Begun(kernel, kMost);
  state.calls = kMost - 1;
  call = Reading(0);
  kernel.call(&state, &call, 0, &decision);
  KRUX_HOLD(state.calls == kMost);
  kernel.call(&state, &call, 0, &decision);
  KRUX_HOLD(decision.verdict == KRUX_ALLOW);
  KRUX_HOLD(state.calls == kMost);

  // The window's end is exclusive, also at the end of time.
  kernel.decide(&state, &call, kMost - 1, &decision);
  KRUX_HOLD(decision.verdict == KRUX_ALLOW);
  kernel.decide(&state, &call, kMost, &decision);
  KRUX_HOLD(decision.verdict == KRUX_DENY);
  return "";
}

std::string Budgets(const Kernel& kernel) {
  krux_state state = Begun(kernel, kMost);
  kernel.charge(&state, Full(kMost - 1).words);
  KRUX_HOLD(state.remaining[0] == 1);
  kernel.charge(&state, Full(kMost).words);
  KRUX_HOLD(state.remaining[0] == 0);
  kernel.charge(&state, Full(1).words);
  KRUX_HOLD(state.remaining[KRUX_BUDGET_TOKENS_OUT] == 0);

  krux_state parent = Begun(kernel, kMost), child;
  const krux_policy top = kernel.top();
  KRUX_HOLD(parent.policy.depth == UINT8_MAX);
  KRUX_HOLD(kernel.delegate(&parent, &child, &top, Full(kMost).words, kSession, kPolicy));
  KRUX_HOLD(parent.remaining[0] == 0 && child.remaining[0] == kMost);
  KRUX_HOLD(child.policy.depth == UINT8_MAX - 1);
  KRUX_HOLD(!kernel.delegate(&parent, &child, &top, Full(kMost).words, kSession, kPolicy));
  return "";
}

std::string Tickets(const Kernel& kernel) {
  krux_state state = Begun(kernel, kMost);
  krux_ticket ticket{.kind = KRUX_TICKET_APPROVE,
                     .nonce = kMost,
                     .expires_ms = kMost,
                     .session = {1, 2},
                     .policy = {3, 4, 5, 6},
                     .digest = {}};
  KRUX_HOLD(!kernel.grant(&state, &ticket, kMost));
  KRUX_HOLD(kernel.grant(&state, &ticket, kMost - 1));
  KRUX_HOLD(state.last_nonce == kMost);
  // Nothing is above the last nonce: no ticket comes after it, and none wraps to 0.
  KRUX_HOLD(!kernel.grant(&state, &ticket, 0));
  ticket.nonce = 0;
  KRUX_HOLD(!kernel.grant(&state, &ticket, 0));
  ticket.nonce = 1;
  KRUX_HOLD(!kernel.grant(&state, &ticket, 0));
  KRUX_HOLD(kernel.revoke(&state, kMost));
  KRUX_HOLD(!kernel.revoke(&state, kMost));
  return "";
}

std::string Policies(const Kernel& kernel) {
  const krux_policy top = kernel.top();
  KRUX_HOLD(HashOf(kernel.meet(&top, &top)) == HashOf(top));
  for (unsigned dimension = 0; dimension < KRUX_DIMENSIONS; ++dimension)
    KRUX_HOLD(kernel.level(&top, dimension) == KRUX_LEVEL_ALWAYS);
  KRUX_HOLD(kernel.level(&top, KRUX_DIMENSIONS) == KRUX_LEVEL_NEVER);
  KRUX_HOLD(kernel.level(&top, UINT32_MAX) == KRUX_LEVEL_NEVER);
  krux_policy set = top;
  kernel.set_level(&set, KRUX_DIMENSIONS, KRUX_LEVEL_NEVER);
  KRUX_HOLD(set.levels == top.levels);
  kernel.set_level(&set, 3, KRUX_LEVEL_LOW_RISK);
  KRUX_HOLD(set.levels == (top.levels ^ 3u << 6));
  kernel.set_level(&set, 3, KRUX_LEVEL_ALWAYS);
  KRUX_HOLD(set.levels == top.levels);
  krux_policy far = top;
  far.levels = UINT32_MAX;  // no level there is one
  far.not_before_ms = kMost;
  far.required_layers = UINT32_MAX;
  KRUX_HOLD(kernel.within(&far, &top) && !kernel.within(&top, &far));
  KRUX_HOLD(kernel.level(&far, 15) == KRUX_LEVEL_NEVER);
  const krux_policy met = kernel.meet(&far, &top);
  KRUX_HOLD(met.levels == 0 && met.not_before_ms == kMost && met.not_after_ms == kMost);
  return "";
}
#undef KRUX_HOLD

}  // namespace

std::string BrokenAtBounds(const Kernel& kernel) {
  for (const auto& property : {Calls, Budgets, Tickets, Policies}) {
    if (const std::string broken = property(kernel); !broken.empty()) return broken;
  }
  return "";
}

}  // namespace krux::diff
