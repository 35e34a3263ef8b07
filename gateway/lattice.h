// Lattice: what of a session's state is written into records, and read back when it is rebuilt.
// docs/AUDIT_FORMAT.md §4 lists the keys; nothing else knows how policy::State is made of numbers.
//
//   intent.state_after = StateLattice(session.state, session.epoch);
//   KRUX_TRY(Restrict(state, carried.state, carried.budget));   // never more than was left
#pragma once

#include <array>

#include "base/cbor_value.h"
#include "policy/decide.h"

namespace krux::gateway {

enum StateKey : uint64_t { kExposureKey = 0, kCallsKey = 1, kEpochKey = 2, kFlagsKey = 3 };
inline constexpr uint64_t kLockedFlag = 1;  // the session was locked down

// {0: exposure, 1: calls, 2: policy epoch, 3: flags}
cbor::Map StateLattice(const policy::State& state, uint64_t epoch, bool locked = false);
// From this on nobody set a limit: the kernel starts at 2^64 - 1 and takes off what was used.
inline constexpr uint64_t kNoLimit = 1ull << 63;
// What is left of every resource that has a limit, by its place in policy::BudgetNames().
cbor::Map BudgetLattice(const policy::State& state);

// What is a number in a lattice, 0 where it is missing.
uint64_t NumberAt(const cbor::Map& lattice, uint64_t key);

// Joins what was written into `state`: exposure only rises, the smaller budget counts. kBadData
// where a key is unknown: a newer gateway wrote it, and what it means must not be lost.
Result<void> Restrict(policy::State& state, const cbor::Map& written, const cbor::Map& budget);

// What a call turned out to use, as krux_step_charge() takes it.
struct Used {
  uint64_t wall_us = 0, cpu_us = 0;
  uint64_t bytes_in = 0;   // content that it was given
  uint64_t bytes_out = 0;  // what it gave back
};
std::array<uint64_t, policy::kBudgets> CostOf(const Used& used);

}  // namespace krux::gateway
