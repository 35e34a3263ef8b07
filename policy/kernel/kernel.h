/* The policy kernel: from a session's state and a call to a verdict, and from a state and an event
 * to the next state. C11, freestanding, no allocation, no I/O, no clock, no globals: `now_ms` is an
 * argument. Total: every bit pattern has an answer, and the answer to nonsense is deny.
 *
 *   struct krux_decision decision;
 *   krux_step_call(&state, &call, now_ms, &decision);  // moves `state` on only if allowed
 *   if (decision.verdict == KRUX_ALLOW) ...
 *
 * The model of every function here is verification/coq, and the two are compared on every commit.
 * Names, orders and columns of the enums come from tables.def.
 */
#ifndef KRUX_POLICY_KERNEL_H
#define KRUX_POLICY_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum krux_level {
#define KRUX_LEVEL(id, name) KRUX_LEVEL_##id,
#include "policy/kernel/tables.def"
};
enum krux_verdict {
#define KRUX_VERDICT(id, name) KRUX_##id,
#include "policy/kernel/tables.def"
};
enum krux_risk {
#define KRUX_RISK(id, name) KRUX_RISK_##id,
#include "policy/kernel/tables.def"
  KRUX_RISKS
};
enum krux_dimension {
#define KRUX_DIMENSION(id, name, consequential, lockdown, what) KRUX_DIM_##id,
#include "policy/kernel/tables.def"
  KRUX_DIMENSIONS,
  KRUX_DIM_NONE = KRUX_DIMENSIONS /* calls of krux about itself */
};
enum krux_component {
#define KRUX_COMPONENT(id, name, what) KRUX_PART_##id,
#include "policy/kernel/tables.def"
  KRUX_COMPONENTS
};
enum krux_budget {
#define KRUX_BUDGET(id, name, what) KRUX_BUDGET_##id,
#include "policy/kernel/tables.def"
  KRUX_BUDGETS
};
enum krux_ticket_kind {
#define KRUX_TICKET(id, name, what) KRUX_TICKET_##id,
#include "policy/kernel/tables.def"
  KRUX_TICKET_KINDS
};
enum { KRUX_PRIVATE = 1, KRUX_UNTRUSTED = 2, KRUX_EXFIL = 4, KRUX_ALL_LEGS = 7 };
enum { KRUX_TICKETS = 16 };

/* What a session may do, without the scopes: those were looked at before and arrive as bits. */
struct krux_policy {
  uint32_t levels;          /* 2 bits a dimension, the first lowest; 3 is no level: never */
  uint32_t required_layers; /* the sandbox must have them all */
  uint16_t obligations;     /* bit per dimension: ask before each such call */
  uint8_t trifecta;         /* KRUX_ASK or KRUX_DENY, what the gate says; other values: deny */
  uint8_t trusted_action;   /* the same for trust */
  uint8_t depth;            /* generations of children that may still follow */
  uint64_t not_before_ms;   /* wall time, inclusive */
  uint64_t not_after_ms;    /* wall time, exclusive */
};

/* One approval of one exact call in one session under one policy. */
struct krux_ticket {
  uint8_t kind; /* enum krux_ticket_kind */
  uint64_t nonce;
  uint64_t expires_ms; /* wall time, exclusive */
  uint64_t session[2];
  uint64_t policy[4]; /* krux_state.policy_id when it was granted */
  uint64_t digest[4]; /* krux_call.digest of the call it is for */
};

struct krux_state {
  struct krux_policy policy;
  uint8_t exposure;                 /* legs; only grows */
  uint64_t remaining[KRUX_BUDGETS]; /* only falls; UINT64_MAX is as good as no limit */
  uint64_t calls;                   /* allowed so far */
  uint64_t session[2];
  uint64_t policy_id[4]; /* digest of the policy's text; tickets are bound to it */
  uint64_t last_nonce;   /* of tickets; a nonce is good once */
  struct krux_ticket tickets[KRUX_TICKETS];
};

/* What the sandbox built for a call would let it touch. */
struct krux_footprint {
  uint8_t readable;   /* labels of what it can read: KRUX_PRIVATE, KRUX_UNTRUSTED */
  bool network;       /* some hole to the outside: brings untrusted content in, and is a way out */
  bool runs_program;  /* an executable that the agent chose runs */
  bool within_grants; /* every tree lies inside the policy's scopes */
  uint32_t layers;    /* layers that will be measured to hold */
};

struct krux_call {
  uint8_t dimension; /* enum krux_dimension */
  uint8_t risk;      /* enum krux_risk; larger: deny */
  uint8_t sources;   /* legs that the call takes in: KRUX_PRIVATE, KRUX_UNTRUSTED */
  bool sink;         /* a way out */
  bool obliged;      /* a rule of the policy asks before this very call */
  bool endorsed;     /* every identity argument is a value that the operator gave this session */
  uint32_t scopes;   /* scopes that govern the call, a bit each; none is for KRUX_DIM_NONE alone */
  uint32_t inside;   /* those of them it lies inside */
  struct krux_footprint footprint;
  uint64_t cost[KRUX_BUDGETS];
  uint64_t digest[4]; /* of the canonical call */
};

struct krux_decision {
  uint8_t verdict;                /* enum krux_verdict: min of the parts, after tickets */
  uint8_t parts[KRUX_COMPONENTS]; /* what each part alone says */
  uint8_t reasons;                /* bit per part below allow */
  uint8_t contribution;           /* legs that the call adds when it is allowed */
  uint8_t ticket;                 /* 1 + slot of the ticket that lifts it, 0 for none */
};

/* The decision alone; `state` stays as it is. */
void krux_decide(const struct krux_state* state, const struct krux_call* call, uint64_t now_ms,
                 struct krux_decision* decision);

/* Events. Each leaves `state` untouched where it returns false. None raises the policy, clears a
 * leg or raises what remains.
 */
/* Decides, and where the verdict is allow: takes the ticket, adds the legs, subtracts the cost. */
void krux_step_call(struct krux_state* state, const struct krux_call* call, uint64_t now_ms,
                    struct krux_decision* decision);
/* The policy becomes its meet with `policy`, the budget the smaller one (null: as it is); tickets
 * under the former policy_id are dead. */
void krux_step_attenuate(struct krux_state* state, const struct krux_policy* policy,
                         const uint64_t limits[KRUX_BUDGETS], const uint64_t policy_id[4]);
/* Only what the tables' column `lockdown` leaves: reading. */
void krux_step_lockdown(struct krux_state* state);
/* What an allowed call turned out to cost beyond krux_call.cost; stops at 0. */
void krux_step_charge(struct krux_state* state, const uint64_t cost[KRUX_BUDGETS]);
/* Legs that turned up late; KRUX_ALL_LEGS where nobody knows (poison). */
void krux_step_taint(struct krux_state* state, uint8_t legs);
/* False: another session's or policy's, expired, no such kind, a nonce not above every former one,
 * or no free slot. Slots of dead tickets are free. */
bool krux_step_grant(struct krux_state* state, const struct krux_ticket* ticket, uint64_t now_ms);
/* Takes a ticket back; false: there is none with that nonce. */
bool krux_step_revoke(struct krux_state* state, uint64_t nonce);
/* `child` becomes a session with at most `policy` of the parent's authority, the parent's exposure,
 * no tickets, and `share` of its budget, which the parent loses. False: no depth left or too large
 * a share. */
bool krux_step_delegate(struct krux_state* parent, struct krux_state* child,
                        const struct krux_policy* policy, const uint64_t share[KRUX_BUDGETS],
                        const uint64_t session[2], const uint64_t policy_id[4]);

/* A new session: nothing exposed, nothing granted. */
void krux_state_begin(struct krux_state* state, const struct krux_policy* policy,
                      const uint64_t limits[KRUX_BUDGETS], const uint64_t session[2],
                      const uint64_t policy_id[4]);

/* The order of authority: meet is the greatest lower bound, `krux_policy_within` says a <= b. */
struct krux_policy krux_policy_meet(const struct krux_policy* a, const struct krux_policy* b);
bool krux_policy_within(const struct krux_policy* a, const struct krux_policy* b);
/* Everything, in every way, at any time: the neutral element of meet. */
struct krux_policy krux_policy_top(void);
enum krux_level krux_policy_level(const struct krux_policy* policy, unsigned dimension);
void krux_policy_set_level(struct krux_policy* policy, unsigned dimension, enum krux_level level);

/* Legs that a call declares, and those that its sandbox would allow. */
uint8_t krux_contribution(const struct krux_call* call);
uint8_t krux_footprint_legs(const struct krux_footprint* footprint);

/* Every field of a state, in the order of its declaration, big-endian, at fixed width: two states
 * with the same bytes are the same state. */
enum {
  KRUX_POLICY_BYTES = 4 + 4 + 2 + 3 + 8 + 8,
  KRUX_TICKET_BYTES = 1 + 8 * (1 + 1 + 2 + 4 + 4),
  KRUX_STATE_BYTES =
      KRUX_POLICY_BYTES + 1 + 8 * (KRUX_BUDGETS + 1 + 2 + 4 + 1) + KRUX_TICKETS * KRUX_TICKET_BYTES
};
void krux_encode_state(const struct krux_state* state, uint8_t bytes[KRUX_STATE_BYTES]);

#ifdef __cplusplus
}
#endif
#endif /* KRUX_POLICY_KERNEL_H */
