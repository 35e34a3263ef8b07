/* Events: how a session's state moves on. No event raises the policy, clears a leg or raises what
 * remains of the budget. */
#include "policy/kernel/kernel.h"

static const uint32_t kLockdownLevels = 0
#define KRUX_DIMENSION(id, name, consequential, lockdown, what) \
  | (uint32_t)KRUX_LEVEL_##lockdown << (2 * KRUX_DIM_##id)
#include "policy/kernel/tables.def"
    ;

static void copy(uint64_t* to, const uint64_t* from, int words) {
  for (int i = 0; i < words; ++i) to[i] = from[i];
}

static bool same(const uint64_t* a, const uint64_t* b, int words) {
  for (int i = 0; i < words; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

void krux_state_begin(struct krux_state* state, const struct krux_policy* policy,
                      const uint64_t limits[KRUX_BUDGETS], const uint64_t session[2],
                      const uint64_t policy_id[4]) {
  *state = (struct krux_state){.policy = *policy};
  copy(state->remaining, limits, KRUX_BUDGETS);
  copy(state->session, session, 2);
  copy(state->policy_id, policy_id, 4);
}

void krux_step_call(struct krux_state* state, const struct krux_call* call, uint64_t now_ms,
                    struct krux_decision* decision) {
  krux_decide(state, call, now_ms, decision);
  if (decision->verdict != KRUX_ALLOW) return;
  if (decision->ticket != 0) state->tickets[decision->ticket - 1] = (struct krux_ticket){0};
  state->exposure |= decision->contribution;
  for (int i = 0; i < KRUX_BUDGETS; ++i) state->remaining[i] -= call->cost[i];
  if (state->calls < UINT64_MAX) ++state->calls;
}

void krux_step_attenuate(struct krux_state* state, const struct krux_policy* policy,
                         const uint64_t limits[KRUX_BUDGETS], const uint64_t policy_id[4]) {
  state->policy = krux_policy_meet(&state->policy, policy);
  for (int i = 0; limits != NULL && i < KRUX_BUDGETS; ++i) {
    if (limits[i] < state->remaining[i]) state->remaining[i] = limits[i];
  }
  copy(state->policy_id, policy_id, 4);
  /* Cleared, not only passed over: should this policy_id ever come back, they stay dead. */
  for (int i = 0; i < KRUX_TICKETS; ++i) {
    if (!same(state->tickets[i].policy, policy_id, 4)) state->tickets[i] = (struct krux_ticket){0};
  }
}

void krux_step_lockdown(struct krux_state* state) {
  struct krux_policy reading = krux_policy_top();
  reading.levels = kLockdownLevels;
  reading.depth = 0;
  state->policy = krux_policy_meet(&state->policy, &reading);
}

void krux_step_charge(struct krux_state* state, const uint64_t cost[KRUX_BUDGETS]) {
  for (int i = 0; i < KRUX_BUDGETS; ++i) {
    state->remaining[i] = cost[i] < state->remaining[i] ? state->remaining[i] - cost[i] : 0;
  }
}

void krux_step_taint(struct krux_state* state, uint8_t legs) {
  state->exposure |= legs & KRUX_ALL_LEGS;
}

static bool is_dead(const struct krux_ticket* ticket, const struct krux_state* state,
                    uint64_t now_ms) {
  return ticket->kind == KRUX_TICKET_NONE || now_ms >= ticket->expires_ms ||
         !same(ticket->policy, state->policy_id, 4);
}

bool krux_step_grant(struct krux_state* state, const struct krux_ticket* ticket, uint64_t now_ms) {
  if (ticket->kind >= KRUX_TICKET_KINDS || is_dead(ticket, state, now_ms)) return false;
  if (!same(ticket->session, state->session, 2)) return false;
  if (ticket->nonce <= state->last_nonce) return false;
  for (int i = 0; i < KRUX_TICKETS; ++i) {
    if (!is_dead(&state->tickets[i], state, now_ms)) continue;
    state->tickets[i] = *ticket;
    state->last_nonce = ticket->nonce;
    return true;
  }
  return false;
}

bool krux_step_revoke(struct krux_state* state, uint64_t nonce) {
  for (int i = 0; i < KRUX_TICKETS; ++i) {
    if (state->tickets[i].kind == KRUX_TICKET_NONE || state->tickets[i].nonce != nonce) continue;
    state->tickets[i] = (struct krux_ticket){0};
    return true;
  }
  return false;
}

bool krux_step_delegate(struct krux_state* parent, struct krux_state* child,
                        const struct krux_policy* policy, const uint64_t share[KRUX_BUDGETS],
                        const uint64_t session[2], const uint64_t policy_id[4]) {
  if (parent->policy.depth == 0) return false;
  for (int i = 0; i < KRUX_BUDGETS; ++i) {
    if (share[i] > parent->remaining[i]) return false;
  }
  struct krux_policy within = krux_policy_meet(&parent->policy, policy);
  if (within.depth >= parent->policy.depth) within.depth = (uint8_t)(parent->policy.depth - 1);
  krux_state_begin(child, &within, share, session, policy_id);
  child->exposure = parent->exposure;
  for (int i = 0; i < KRUX_BUDGETS; ++i) parent->remaining[i] -= share[i];
  return true;
}
