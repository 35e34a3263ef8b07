#include "verification/diff/properties.h"

#include <algorithm>
#include <cstring>

namespace krux::diff {
namespace {

#define KRUX_HOLD(property) \
  if (!(property)) return #property

bool SameBytes(const krux_state& a, const krux_state& b) {
  uint8_t first[KRUX_STATE_BYTES], second[KRUX_STATE_BYTES];
  krux_encode_state(&a, first);
  krux_encode_state(&b, second);
  return std::memcmp(first, second, sizeof first) == 0;
}

bool Same(const krux_ticket& a, const krux_ticket& b) {
  return a.kind == b.kind && a.nonce == b.nonce && a.expires_ms == b.expires_ms &&
         std::ranges::equal(a.session, b.session) && std::ranges::equal(a.policy, b.policy) &&
         std::ranges::equal(a.digest, b.digest);
}

bool Same(const krux_state& a, const krux_state& b) {
  return HashOf(a.policy) == HashOf(b.policy) && a.exposure == b.exposure &&
         std::ranges::equal(a.remaining, b.remaining) && a.calls == b.calls &&
         std::ranges::equal(a.session, b.session) && std::ranges::equal(a.policy_id, b.policy_id) &&
         a.last_nonce == b.last_nonce &&
         std::ranges::equal(a.tickets, b.tickets,
                            [](const auto& x, const auto& y) { return Same(x, y); });
}

int Tickets(const krux_state& state) {
  return static_cast<int>(std::count_if(std::begin(state.tickets), std::end(state.tickets),
                                        [](const krux_ticket& t) { return t.kind != 0; }));
}

// Holds for every event but those that make a session anew.
std::string Ratchet(const krux_state& before, const Event& event, const krux_state& after) {
  KRUX_HOLD(krux_policy_within(&after.policy, &before.policy));
  KRUX_HOLD((before.exposure & ~after.exposure) == 0);
  for (int i = 0; i < KRUX_BUDGETS; ++i) KRUX_HOLD(after.remaining[i] <= before.remaining[i]);
  KRUX_HOLD(after.calls >= before.calls);
  KRUX_HOLD(after.last_nonce >= before.last_nonce);
  KRUX_HOLD(std::ranges::equal(after.session, before.session));
  KRUX_HOLD(event.kind == Kind::kAttenuate ||
            std::ranges::equal(after.policy_id, before.policy_id));
  KRUX_HOLD(event.kind == Kind::kGrant || Tickets(after) <= Tickets(before));
  return "";
}

std::string Verdicts(const krux_state& before, const Event& event, const Result& result) {
  const krux_call& call = event.call;
  const uint8_t folded = *std::min_element(std::begin(result.parts), std::end(result.parts));
  // A ticket lifts an ask; a deny and an allow stay what they are.
  KRUX_HOLD(result.verdict ==
            (folded == KRUX_ASK && result.ticket != 0 ? uint8_t{KRUX_ALLOW} : folded));
  KRUX_HOLD(result.ticket == 0 || folded == KRUX_ASK);
  for (int i = 0; i < KRUX_COMPONENTS; ++i)
    KRUX_HOLD((result.reasons >> i & 1) == (result.parts[i] != KRUX_ALLOW));
  const bool granted = call.dimension == KRUX_DIM_NONE ||
                       (call.dimension < KRUX_DIMENSIONS &&
                        (before.policy.levels >> (2 * call.dimension) & 3) % 3 != 0);
  KRUX_HOLD(granted || result.verdict == KRUX_DENY);
  const bool meets = ((before.exposure | result.contribution) & KRUX_ALL_LEGS) == KRUX_ALL_LEGS;
  const bool gated = call.sink && meets && !call.endorsed;
  KRUX_HOLD(!gated || result.parts[KRUX_PART_GATE] != KRUX_ALLOW);
  KRUX_HOLD(!gated || result.verdict != KRUX_ALLOW || result.ticket != 0);
  const uint8_t network = KRUX_UNTRUSTED | KRUX_EXFIL;
  const bool fits = (call.footprint.readable & KRUX_ALL_LEGS & ~result.contribution) == 0 &&
                    (!call.footprint.network || (network & ~result.contribution) == 0);
  KRUX_HOLD(fits || result.verdict == KRUX_DENY);
  KRUX_HOLD(result.verdict != KRUX_ALLOW || (event.now_ms >= before.policy.not_before_ms &&
                                             event.now_ms < before.policy.not_after_ms));
  return "";
}

// Less authority or more exposure never makes any part of the decision larger.
std::string Monotone(const krux_state& before, const Event& event, const Result& result) {
  krux_state less = before, more = before;
  krux_step_lockdown(&less);
  krux_step_taint(&more, KRUX_ALL_LEGS);
  krux_decision with_less, with_more;
  krux_decide(&less, &event.call, event.now_ms, &with_less);
  krux_decide(&more, &event.call, event.now_ms, &with_more);
  for (int i = 0; i < KRUX_COMPONENTS; ++i) {
    KRUX_HOLD(with_less.parts[i] <= result.parts[i]);
    KRUX_HOLD(with_more.parts[i] <= result.parts[i]);
  }
  return "";
}

std::string Called(const krux_state& before, const Event& event, const Result& result,
                   const krux_state& after) {
  const bool moves = event.kind == Kind::kCall && result.verdict == KRUX_ALLOW;
  if (!moves) {
    KRUX_HOLD(Same(before, after));
    return "";
  }
  KRUX_HOLD(after.exposure == (before.exposure | result.contribution));
  for (int i = 0; i < KRUX_BUDGETS; ++i)
    KRUX_HOLD(before.remaining[i] - after.remaining[i] == event.call.cost[i]);
  KRUX_HOLD(Tickets(before) - Tickets(after) == (result.ticket != 0 ? 1 : 0));
  if (result.ticket != 0) {
    const krux_ticket& used = before.tickets[result.ticket - 1];
    KRUX_HOLD(std::ranges::equal(used.digest, event.call.digest));
    KRUX_HOLD(std::ranges::equal(used.policy, before.policy_id));
    KRUX_HOLD(std::ranges::equal(used.session, before.session));
    KRUX_HOLD(event.now_ms < used.expires_ms);
    KRUX_HOLD(after.tickets[result.ticket - 1].kind == KRUX_TICKET_NONE);
  }
  return "";
}

std::string Delegated(const krux_state& before, const krux_state& parent, const krux_state& child) {
  KRUX_HOLD(krux_policy_within(&child.policy, &before.policy));
  KRUX_HOLD(child.policy.depth < before.policy.depth);
  KRUX_HOLD(child.exposure == before.exposure);
  KRUX_HOLD(Tickets(child) == 0);
  for (int i = 0; i < KRUX_BUDGETS; ++i)
    KRUX_HOLD(parent.remaining[i] + child.remaining[i] == before.remaining[i]);
  return "";
}
#undef KRUX_HOLD

}  // namespace

std::string Broken(const krux_state& before, const Event& event, const Result& result,
                   const Machine& machine) {
  const krux_state& after = machine.session(event.session);
  const bool same = Same(before, after);
  if ((!same || event.kind == Kind::kEncode) && SameBytes(before, after) != same)
    return "the same bytes, the same state";
  if (event.kind == Kind::kBegin || event.kind == Kind::kLoad) return "";
  if (std::string broken = Ratchet(before, event, after); !broken.empty()) return broken;
  switch (event.kind) {
    case Kind::kCall:
    case Kind::kDecide:
      if (std::string broken = Verdicts(before, event, result); !broken.empty()) return broken;
      if (std::string broken = Monotone(before, event, result); !broken.empty()) return broken;
      return Called(before, event, result, after);
    case Kind::kGrant:
    case Kind::kRevoke:
      return result.returned != 0 || Same(before, after) ? "" : "refused, and yet it moved";
    case Kind::kDelegate:
      if (result.returned == 0) return Same(before, after) ? "" : "refused, and yet it moved";
      return Delegated(before, after, machine.session(event.child));
    case Kind::kWithin:
    case Kind::kMeet: {
      const krux_policy met = krux_policy_meet(&event.policy, &event.other);
      if (!krux_policy_within(&met, &event.policy) || !krux_policy_within(&met, &event.other))
        return "the meet is below both";
      const krux_policy turned = krux_policy_meet(&event.other, &event.policy);
      return HashOf(met) == HashOf(turned) ? "" : "the meet knows no order";
    }
    default:
      return "";
  }
}

}  // namespace krux::diff
