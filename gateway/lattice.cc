#include "gateway/lattice.h"

#include <algorithm>
#include <string>

namespace krux::gateway {
namespace {

using cbor::Map;
using cbor::Value;

}  // namespace

Map StateLattice(const policy::State& state, uint64_t epoch, bool locked) {
  return Map{{kExposureKey, uint64_t{state.exposure()}},
             {kCallsKey, state.calls()},
             {kEpochKey, epoch},
             {kFlagsKey, locked ? kLockedFlag : 0u}};
}

Map BudgetLattice(const policy::State& state) {
  Map budget;
  for (uint64_t i = 0; i < policy::kBudgets; ++i) {
    if (state.kernel.remaining[i] < kNoLimit) budget.Set(i, state.kernel.remaining[i]);
  }
  return budget;
}

uint64_t NumberAt(const Map& lattice, uint64_t key) {
  const Value* value = lattice.Find(key);
  return value != nullptr && value->uint() != nullptr ? *value->uint() : 0;
}

Result<void> Restrict(policy::State& state, const Map& written, const Map& budget) {
  for (const auto& [key, value] : written) {
    if (key.uint() == nullptr || value.uint() == nullptr || *key.uint() > kFlagsKey) {
      return Fail(ExitCode::kBadData, "session",
                  "the log holds the state of a session that this version does not know");
    }
  }
  for (const auto& [key, value] : budget) {
    if (key.uint() == nullptr || value.uint() == nullptr || *key.uint() >= policy::kBudgets) {
      return Fail(ExitCode::kBadData, "session",
                  "the log holds a budget that this version does not know");
    }
    uint64_t& remaining = state.kernel.remaining[*key.uint()];
    remaining = std::min(remaining, *value.uint());
  }
  const uint64_t exposure = NumberAt(written, kExposureKey);
  if (exposure > KRUX_ALL_LEGS || NumberAt(written, kFlagsKey) > kLockedFlag) {
    return Fail(ExitCode::kBadData, "session",
                "the log holds an exposure that this version does not know");
  }
  krux_step_taint(&state.kernel, static_cast<uint8_t>(exposure));
  if (NumberAt(written, kFlagsKey) == kLockedFlag) krux_step_lockdown(&state.kernel);
  state.kernel.calls = std::max(state.kernel.calls, NumberAt(written, kCallsKey));
  return {};
}

std::array<uint64_t, policy::kBudgets> CostOf(const Used& used) {
  std::array<uint64_t, policy::kBudgets> cost = {};
  constexpr uint64_t kUsPerMs = 1000;
  // What was begun counts: many short calls are not free.
  cost[KRUX_BUDGET_WALL] = (used.wall_us + kUsPerMs - 1) / kUsPerMs;
  cost[KRUX_BUDGET_CPU] = (used.cpu_us + kUsPerMs - 1) / kUsPerMs;
  cost[KRUX_BUDGET_BYTES_IN] = used.bytes_in;
  cost[KRUX_BUDGET_BYTES_OUT] = used.bytes_out;
  return cost;
}

}  // namespace krux::gateway
