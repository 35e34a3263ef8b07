/* A state as bytes: every field, in order, at fixed width. */
#include "policy/kernel/kernel.h"

static uint8_t* put(uint8_t* to, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) to[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
  return to + width;
}

static uint8_t* put_words(uint8_t* to, const uint64_t* words, int count) {
  for (int i = 0; i < count; ++i) to = put(to, words[i], 8);
  return to;
}

static uint8_t* put_policy(uint8_t* to, const struct krux_policy* policy) {
  to = put(to, policy->levels, 4);
  to = put(to, policy->required_layers, 4);
  to = put(to, policy->obligations, 2);
  to = put(to, policy->trifecta, 1);
  to = put(to, policy->trusted_action, 1);
  to = put(to, policy->depth, 1);
  to = put(to, policy->not_before_ms, 8);
  return put(to, policy->not_after_ms, 8);
}

static uint8_t* put_ticket(uint8_t* to, const struct krux_ticket* ticket) {
  to = put(to, ticket->kind, 1);
  to = put(to, ticket->nonce, 8);
  to = put(to, ticket->expires_ms, 8);
  to = put_words(to, ticket->session, 2);
  to = put_words(to, ticket->policy, 4);
  return put_words(to, ticket->digest, 4);
}

void krux_encode_state(const struct krux_state* state, uint8_t bytes[KRUX_STATE_BYTES]) {
  uint8_t* to = put_policy(bytes, &state->policy);
  to = put(to, state->exposure, 1);
  to = put_words(to, state->remaining, KRUX_BUDGETS);
  to = put(to, state->calls, 8);
  to = put_words(to, state->session, 2);
  to = put_words(to, state->policy_id, 4);
  to = put(to, state->last_nonce, 8);
  for (int i = 0; i < KRUX_TICKETS; ++i) to = put_ticket(to, &state->tickets[i]);
}
