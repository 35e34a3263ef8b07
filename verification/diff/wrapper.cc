#include "verification/diff/wrapper.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "policy/decide.h"

namespace krux::diff {
namespace {

policy::Call CallOf(const krux_call& kernel) {
  policy::Call call;
  call.dimension = static_cast<policy::Dimension>(kernel.dimension);
  call.risk = static_cast<policy::Risk>(kernel.risk);
  call.capability = "of.the.stream";
  const int inside = std::popcount(kernel.scopes & kernel.inside);
  for (int i = 0; i < std::popcount(kernel.scopes); ++i) {
    call.scopes.emplace_back();
    call.scopes.back().inside = i < inside;
  }
  call.contribution = static_cast<policy::Exposure>((kernel.sources & KRUX_ALL_LEGS) |
                                                    (kernel.sink ? KRUX_EXFIL : 0));
  if (kernel.obliged) call.obliged_rule = "a rule";
  call.endorsed = kernel.endorsed;
  std::copy(std::begin(kernel.cost), std::end(kernel.cost), call.cost.begin());
  std::copy(std::begin(kernel.digest), std::end(kernel.digest), call.digest.begin());
  return call;
}

policy::Footprint FootprintOf(const krux_footprint& kernel) {
  policy::Footprint footprint;
  footprint.reads_private = (kernel.readable & KRUX_PRIVATE) != 0;
  footprint.reads_untrusted = (kernel.readable & KRUX_UNTRUSTED) != 0;
  footprint.network = kernel.network;
  footprint.runs_program = kernel.runs_program;
  footprint.within_grants = kernel.within_grants;
  footprint.layers = kernel.layers;
  return footprint;
}

// What a Footprint cannot say: that a way out lies among what can be read.
bool CanBeSaid(const Event& event) {
  return (event.kind == Kind::kCall || event.kind == Kind::kDecide) &&
         (event.call.footprint.readable & KRUX_EXFIL) == 0;
}

bool Agrees(const krux_state& before, const Event& event, const Result& answer) {
  policy::State state;
  state.kernel = before;
  const policy::Decision decision =
      policy::Decide(state, CallOf(event.call), FootprintOf(event.call.footprint), event.now_ms);
  if (static_cast<uint8_t>(decision.verdict) != answer.verdict) return false;
  uint8_t reasons = 0;
  for (const policy::Reason& reason : decision.reasons) {
    reasons |= static_cast<uint8_t>(1u << static_cast<unsigned>(reason.component));
    if (answer.parts[static_cast<unsigned>(reason.component)] !=
        static_cast<uint8_t>(reason.verdict))
      return false;
  }
  if (reasons != answer.reasons) return false;
  const uint64_t nonce = answer.ticket == 0 ? 0 : before.tickets[answer.ticket - 1].nonce;
  // Decide leaves the state alone; `next` is where a call leads.
  return decision.ticket == nonce && HashOf(state.kernel) == HashOf(before) &&
         (event.kind == Kind::kDecide || HashOf(decision.next.kernel) == answer.state);
}

}  // namespace

std::optional<size_t> FirstWrapperDifference(const Batch& batch) {
  Machine machine(Shipped());
  std::span<const uint8_t> rest(batch.stream);
  rest = rest.subspan(sizeof kMagic - 1);
  Event event;
  for (size_t i = 0; i < batch.events(); ++i) {
    if (!TakeWire(rest, event)) std::abort();  // this program wrote the stream itself
    if (CanBeSaid(event) && !Agrees(machine.session(event.session), event, batch.answers[i]))
      return i;
    machine.Apply(event);
  }
  return std::nullopt;
}

}  // namespace krux::diff
