/* The order of authority: levels, obligations, layers, modes, depth and window, each by itself. */
#include "policy/kernel/kernel.h"

enum krux_level krux_policy_level(const struct krux_policy* policy, unsigned dimension) {
  if (dimension >= KRUX_DIMENSIONS) return KRUX_LEVEL_NEVER;
  const unsigned level = policy->levels >> (2 * dimension) & 3;
  return level <= KRUX_LEVEL_ALWAYS ? (enum krux_level)level : KRUX_LEVEL_NEVER;
}

void krux_policy_set_level(struct krux_policy* policy, unsigned dimension, enum krux_level level) {
  if (dimension >= KRUX_DIMENSIONS) return;
  policy->levels &= ~(UINT32_C(3) << (2 * dimension));
  policy->levels |= (uint32_t)level << (2 * dimension);
}

struct krux_policy krux_policy_top(void) {
  struct krux_policy top = {.trifecta = KRUX_ASK,
                            .trusted_action = KRUX_ASK,
                            .depth = UINT8_MAX,
                            .not_after_ms = UINT64_MAX};
  for (unsigned i = 0; i < KRUX_DIMENSIONS; ++i) krux_policy_set_level(&top, i, KRUX_LEVEL_ALWAYS);
  return top;
}

static uint8_t smaller_mode(uint8_t a, uint8_t b) {
  return a == KRUX_ASK && b == KRUX_ASK ? KRUX_ASK : KRUX_DENY;
}

struct krux_policy krux_policy_meet(const struct krux_policy* a, const struct krux_policy* b) {
  struct krux_policy meet = {0};
  for (unsigned i = 0; i < KRUX_DIMENSIONS; ++i) {
    const enum krux_level x = krux_policy_level(a, i), y = krux_policy_level(b, i);
    krux_policy_set_level(&meet, i, x < y ? x : y);
  }
  meet.required_layers = a->required_layers | b->required_layers;
  meet.obligations = a->obligations | b->obligations;
  meet.trifecta = smaller_mode(a->trifecta, b->trifecta);
  meet.trusted_action = smaller_mode(a->trusted_action, b->trusted_action);
  meet.depth = a->depth < b->depth ? a->depth : b->depth;
  meet.not_before_ms = a->not_before_ms > b->not_before_ms ? a->not_before_ms : b->not_before_ms;
  meet.not_after_ms = a->not_after_ms < b->not_after_ms ? a->not_after_ms : b->not_after_ms;
  return meet;
}

bool krux_policy_within(const struct krux_policy* a, const struct krux_policy* b) {
  for (unsigned i = 0; i < KRUX_DIMENSIONS; ++i) {
    if (krux_policy_level(a, i) > krux_policy_level(b, i)) return false;
  }
  if ((b->required_layers & ~a->required_layers) != 0) return false;
  if ((b->obligations & ~a->obligations) != 0) return false;
  if (a->trifecta == KRUX_ASK && b->trifecta != KRUX_ASK) return false;
  if (a->trusted_action == KRUX_ASK && b->trusted_action != KRUX_ASK) return false;
  return a->depth <= b->depth && a->not_before_ms >= b->not_before_ms &&
         a->not_after_ms <= b->not_after_ms;
}
