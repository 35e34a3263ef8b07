// PolicyState: how the policy of a session becomes the state of the kernel.
//
//   State state = BeginState(policy, session_id, policy_hash, now_ms);
//   Narrow(state, reloaded, new_hash);   // meet: a session's authority only falls
#pragma once

#include <cstdint>
#include <span>

#include "policy/decide.h"
#include "policy/policy_file.h"

namespace krux::policy {

// The part of a policy that the kernel holds; `opened_ms` is when the session began (wall time).
krux_policy KernelPolicy(const Policy& policy, uint64_t opened_ms);

// A clean session. `session` has 16 bytes, `policy_hash` 32; shorter ones count as zeros.
State BeginState(const Policy& policy, std::span<const uint8_t> session,
                 std::span<const uint8_t> policy_hash, uint64_t opened_ms);

// The state under its own policy met with `policy`.
void Narrow(State& state, const Policy& policy, std::span<const uint8_t> policy_hash,
            uint64_t opened_ms);

// Whether the time of a session under `policy` is over, though the policy's own is not: another one
// could begin.
bool IsOver(const Policy& policy, uint64_t opened_ms, uint64_t now_ms);

// 32 bytes as the kernel holds them.
Digest ToDigest(std::span<const uint8_t> bytes);

}  // namespace krux::policy
