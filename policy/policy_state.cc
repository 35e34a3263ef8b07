#include "policy/policy_state.h"

#include <algorithm>

namespace krux::policy {
namespace {

// The n-th group of eight bytes, big-endian.
uint64_t Word(std::span<const uint8_t> bytes, size_t n) {
  uint64_t word = 0;
  for (size_t i = 8 * n; i < 8 * n + 8; ++i) word = word << 8 | (i < bytes.size() ? bytes[i] : 0);
  return word;
}

std::shared_ptr<const Rules> RulesOf(const Policy& policy) {
  auto rules = std::make_shared<Rules>();
  for (int i = 0; i < kDimensions; ++i) {
    rules->levels[i] = policy.authority.level_rules[i];
    rules->obligations[i] = policy.obligation_rules[i];
  }
  for (int i = 0; i < kBudgets; ++i) rules->budget[i] = policy.budget[i].rule;
  rules->trifecta = policy.trifecta.rule;
  rules->trusted_action = policy.trusted_action.rule;
  rules->window = policy.window_ms.value != kUnlimited      ? policy.window_ms.rule
                  : policy.not_after_ms.value != kUnlimited ? policy.not_after_ms.rule
                                                            : policy.not_before_ms.rule;
  rules->isolation = policy.authority.isolation_rule;
  rules->depth = policy.delegate_depth.rule;
  return rules;
}

// The end of the session: when its length has passed, and at the latest when the policy ends.
uint64_t EndOf(const Policy& policy, uint64_t opened_ms) {
  const uint64_t length = policy.window_ms.value;
  const uint64_t end = length > UINT64_MAX - opened_ms ? UINT64_MAX : opened_ms + length;
  return std::min(end, policy.not_after_ms.value);
}

void CopyBudget(const Policy& policy, uint64_t (&budget)[KRUX_BUDGETS]) {
  for (int i = 0; i < kBudgets; ++i) budget[i] = policy.budget[i].value;
}

}  // namespace

bool IsOver(const Policy& policy, uint64_t opened_ms, uint64_t now_ms) {
  return now_ms >= EndOf(policy, opened_ms) && now_ms < policy.not_after_ms.value;
}

Digest ToDigest(std::span<const uint8_t> bytes) {
  return {Word(bytes, 0), Word(bytes, 1), Word(bytes, 2), Word(bytes, 3)};
}

krux_policy KernelPolicy(const Policy& policy, uint64_t opened_ms) {
  krux_policy kernel = krux_policy_top();
  for (unsigned i = 0; i < KRUX_DIMENSIONS; ++i) {
    // Nonsense is never, as in the kernel.
    const Level level = policy.authority.levels[i];
    krux_policy_set_level(
        &kernel, i, level <= Level::kAlways ? static_cast<krux_level>(level) : KRUX_LEVEL_NEVER);
  }
  kernel.required_layers = policy.authority.required_layers;
  kernel.obligations = policy.obligations;
  kernel.trifecta = static_cast<uint8_t>(policy.trifecta.verdict);
  kernel.trusted_action = static_cast<uint8_t>(policy.trusted_action.verdict);
  kernel.depth = static_cast<uint8_t>(std::min<uint64_t>(policy.delegate_depth.value, UINT8_MAX));
  kernel.not_before_ms = policy.not_before_ms.value;
  kernel.not_after_ms = EndOf(policy, opened_ms);
  return kernel;
}

State BeginState(const Policy& policy, std::span<const uint8_t> session,
                 std::span<const uint8_t> policy_hash, uint64_t opened_ms) {
  const krux_policy kernel = KernelPolicy(policy, opened_ms);
  uint64_t budget[KRUX_BUDGETS];
  CopyBudget(policy, budget);
  const uint64_t id[2] = {Word(session, 0), Word(session, 1)};
  State state{.rules = RulesOf(policy)};
  krux_state_begin(&state.kernel, &kernel, budget, id, ToDigest(policy_hash).data());
  return state;
}

void Narrow(State& state, const Policy& policy, std::span<const uint8_t> policy_hash,
            uint64_t opened_ms) {
  const krux_policy kernel = KernelPolicy(policy, opened_ms);
  uint64_t budget[KRUX_BUDGETS];
  CopyBudget(policy, budget);
  krux_step_attenuate(&state.kernel, &kernel, budget, ToDigest(policy_hash).data());
  state.rules = RulesOf(policy);
}

}  // namespace krux::policy
