#include "policy/policy_state.h"

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
  for (int i = 0; i < kDimensions; ++i) rules->levels[i] = policy.authority.level_rules[i];
  rules->isolation = policy.authority.isolation_rule;
  return rules;
}

}  // namespace

Digest ToDigest(std::span<const uint8_t> bytes) {
  return {Word(bytes, 0), Word(bytes, 1), Word(bytes, 2), Word(bytes, 3)};
}

krux_policy KernelPolicy(const Policy& policy, uint64_t /*opened_ms*/) {
  krux_policy kernel = krux_policy_top();
  for (unsigned i = 0; i < KRUX_DIMENSIONS; ++i) {
    // Nonsense is never, as in the kernel.
    const Level level = policy.authority.levels[i];
    krux_policy_set_level(
        &kernel, i, level <= Level::kAlways ? static_cast<krux_level>(level) : KRUX_LEVEL_NEVER);
  }
  kernel.required_layers = policy.authority.required_layers;
  kernel.depth = 0;
  return kernel;
}

State BeginState(const Policy& policy, std::span<const uint8_t> session,
                 std::span<const uint8_t> policy_hash, uint64_t opened_ms) {
  const krux_policy kernel = KernelPolicy(policy, opened_ms);
  uint64_t budget[KRUX_BUDGETS];
  for (uint64_t& limit : budget) limit = UINT64_MAX;
  const uint64_t id[2] = {Word(session, 0), Word(session, 1)};
  State state{.rules = RulesOf(policy)};
  krux_state_begin(&state.kernel, &kernel, budget, id, ToDigest(policy_hash).data());
  return state;
}

void Narrow(State& state, const Policy& policy, std::span<const uint8_t> policy_hash,
            uint64_t opened_ms) {
  const krux_policy kernel = KernelPolicy(policy, opened_ms);
  krux_step_attenuate(&state.kernel, &kernel, nullptr, ToDigest(policy_hash).data());
  state.rules = RulesOf(policy);
}

}  // namespace krux::policy
