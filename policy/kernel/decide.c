/* The decision: seven parts, each a function of its own, folded with min. */
#include "policy/kernel/kernel.h"

static const uint16_t kConsequential = (uint16_t)(0
#define KRUX_DIMENSION(id, name, consequential, lockdown, what) | ((consequential) << KRUX_DIM_##id)
#include "policy/kernel/tables.def"
);

/* What a guard says when it speaks: a mode that is no mode denies. */
static uint8_t guard(uint8_t mode) { return mode == KRUX_ASK ? KRUX_ASK : KRUX_DENY; }

static uint8_t least(uint8_t a, uint8_t b) { return a < b ? a : b; }

static uint8_t of_level(const struct krux_policy* policy, const struct krux_call* call) {
  if (call->risk >= KRUX_RISKS) return KRUX_DENY;
  if (call->dimension == KRUX_DIM_NONE) return KRUX_ALLOW;
  switch (krux_policy_level(policy, call->dimension)) {
    case KRUX_LEVEL_LOW_RISK:
      return call->risk == KRUX_RISK_LOW ? KRUX_ALLOW : KRUX_ASK;
    case KRUX_LEVEL_ALWAYS:
      return call->risk == KRUX_RISK_CRITICAL ? KRUX_ASK : KRUX_ALLOW;
    case KRUX_LEVEL_NEVER:
      break;
  }
  return KRUX_DENY;
}

static uint8_t of_obligation(const struct krux_policy* policy, const struct krux_call* call) {
  if (call->obliged) return KRUX_ASK;
  if (call->dimension >= KRUX_DIMENSIONS) return KRUX_ALLOW;
  return (policy->obligations >> call->dimension & 1) != 0 ? KRUX_ASK : KRUX_ALLOW;
}

/* A call that no scope governs was not bound to anything; only krux's own may be so. */
static uint8_t of_scope(const struct krux_call* call) {
  if (call->scopes == 0 && call->dimension != KRUX_DIM_NONE) return KRUX_DENY;
  return (call->scopes & ~call->inside) == 0 ? KRUX_ALLOW : KRUX_DENY;
}

/* The three legs meet: what the call adds counts as if it had happened. `overlooked` is a leg that
 * a ticket declassifies. */
static uint8_t of_gate(const struct krux_state* state, const struct krux_call* call,
                       uint8_t overlooked) {
  const uint8_t contribution = krux_contribution(call);
  if ((contribution & KRUX_EXFIL) == 0 || call->endorsed) return KRUX_ALLOW;
  const uint8_t legs = (state->exposure | contribution) & (uint8_t)~overlooked;
  return (legs & KRUX_ALL_LEGS) == KRUX_ALL_LEGS ? guard(state->policy.trifecta) : KRUX_ALLOW;
}

/* Only what was seen before can have brought the call about. */
static uint8_t of_trust(const struct krux_state* state, const struct krux_call* call,
                        uint8_t overlooked) {
  if (call->dimension >= KRUX_DIMENSIONS || call->endorsed) return KRUX_ALLOW;
  if ((kConsequential >> call->dimension & 1) == 0) return KRUX_ALLOW;
  if ((state->exposure & ~overlooked & KRUX_UNTRUSTED) == 0) return KRUX_ALLOW;
  return guard(state->policy.trusted_action);
}

/* INVARIANT: the sandbox allows nothing that the contribution does not say, nor beyond the grants.
 */
static uint8_t of_confinement(const struct krux_call* call) {
  const struct krux_footprint* footprint = &call->footprint;
  if (!footprint->within_grants) return KRUX_DENY;
  if (footprint->runs_program && call->dimension != KRUX_DIM_RUN_EXEC) return KRUX_DENY;
  return (krux_footprint_legs(footprint) & ~krux_contribution(call)) == 0 ? KRUX_ALLOW : KRUX_DENY;
}

/* Most of a call's cost is known only when it has ended, so of every budget something must be left;
 * krux's own calls cost nothing and go on. */
static uint8_t of_limit(const struct krux_state* state, const struct krux_call* call,
                        uint64_t now_ms) {
  const struct krux_policy* policy = &state->policy;
  for (int i = 0; i < KRUX_BUDGETS; ++i) {
    if (call->cost[i] > state->remaining[i]) return KRUX_DENY;
    if (state->remaining[i] == 0 && call->dimension != KRUX_DIM_NONE) return KRUX_DENY;
  }
  if (now_ms < policy->not_before_ms || now_ms >= policy->not_after_ms) return KRUX_DENY;
  if ((policy->required_layers & ~call->footprint.layers) != 0) return KRUX_DENY;
  if (call->dimension == KRUX_DIM_SPAWN_AGENT && policy->depth == 0) return KRUX_DENY;
  return KRUX_ALLOW;
}

static bool same(const uint64_t* a, const uint64_t* b, int words) {
  for (int i = 0; i < words; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

/* Is this ticket for this call, here and now? */
static bool is_for(const struct krux_ticket* ticket, const struct krux_state* state,
                   const struct krux_call* call, uint64_t now_ms) {
  return ticket->kind != KRUX_TICKET_NONE && ticket->kind < KRUX_TICKET_KINDS &&
         now_ms < ticket->expires_ms && same(ticket->session, state->session, 2) &&
         same(ticket->policy, state->policy_id, 4) && same(ticket->digest, call->digest, 4);
}

/* Would the call be allowed with this ticket? */
static bool lifts(uint8_t kind, const struct krux_state* state, const struct krux_call* call,
                  const struct krux_decision* decision) {
  if (kind == KRUX_TICKET_APPROVE) return true;
  const uint8_t leg = kind == KRUX_TICKET_DECLASSIFY_PRIVATE ? KRUX_PRIVATE : KRUX_UNTRUSTED;
  for (int i = 0; i < KRUX_COMPONENTS; ++i) {
    const bool guards = i == KRUX_PART_GATE || i == KRUX_PART_TRUST;
    if (!guards && decision->parts[i] != KRUX_ALLOW) return false;
  }
  return of_gate(state, call, leg) == KRUX_ALLOW && of_trust(state, call, leg) == KRUX_ALLOW;
}

/* A ticket turns an ask into an allow; a deny stays one. */
static void use_ticket(const struct krux_state* state, const struct krux_call* call,
                       uint64_t now_ms, struct krux_decision* decision) {
  for (uint8_t i = 0; i < KRUX_TICKETS; ++i) {
    const struct krux_ticket* ticket = &state->tickets[i];
    if (!is_for(ticket, state, call, now_ms)) continue;
    if (!lifts(ticket->kind, state, call, decision)) continue;
    decision->ticket = (uint8_t)(i + 1);
    decision->verdict = KRUX_ALLOW;
    return;
  }
}

uint8_t krux_contribution(const struct krux_call* call) {
  return (uint8_t)((call->sources & KRUX_ALL_LEGS) | (call->sink ? KRUX_EXFIL : 0));
}

uint8_t krux_footprint_legs(const struct krux_footprint* footprint) {
  return (uint8_t)((footprint->readable & KRUX_ALL_LEGS) |
                   (footprint->network ? KRUX_UNTRUSTED | KRUX_EXFIL : 0));
}

void krux_decide(const struct krux_state* state, const struct krux_call* call, uint64_t now_ms,
                 struct krux_decision* decision) {
  decision->parts[KRUX_PART_LEVEL] = of_level(&state->policy, call);
  decision->parts[KRUX_PART_OBLIGATION] = of_obligation(&state->policy, call);
  decision->parts[KRUX_PART_SCOPE] = of_scope(call);
  decision->parts[KRUX_PART_GATE] = of_gate(state, call, 0);
  decision->parts[KRUX_PART_TRUST] = of_trust(state, call, 0);
  decision->parts[KRUX_PART_CONFINEMENT] = of_confinement(call);
  decision->parts[KRUX_PART_LIMIT] = of_limit(state, call, now_ms);

  decision->verdict = KRUX_ALLOW;
  decision->reasons = 0;
  decision->ticket = 0;
  decision->contribution = krux_contribution(call);
  for (int i = 0; i < KRUX_COMPONENTS; ++i) {
    decision->verdict = least(decision->verdict, decision->parts[i]);
    if (decision->parts[i] != KRUX_ALLOW) decision->reasons |= (uint8_t)(1u << i);
  }
  if (decision->verdict == KRUX_ASK) use_ticket(state, call, now_ms, decision);
}
