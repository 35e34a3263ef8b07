// Lattice: what of a session's state is written into records, and read back when it is rebuilt.
// docs/AUDIT_FORMAT.md §4 lists the keys; nothing else knows how policy::State is made of numbers.
//
//   intent.state_after = StateLattice(session.state, session.epoch);
//   KRUX_TRY(Restrict(state, carried.state, carried.budget));   // never more than was left
#pragma once

#include "base/cbor_value.h"
#include "policy/decide.h"

namespace krux::gateway {

enum StateKey : uint64_t { kExposureKey = 0, kCallsKey = 1, kEpochKey = 2, kFlagsKey = 3 };
inline constexpr uint64_t kLockedFlag = 1;  // the session was locked down

// {0: exposure, 1: calls, 2: policy epoch, 3: flags}
cbor::Map StateLattice(const policy::State& state, uint64_t epoch, bool locked = false);
// What is left, in the order of policy::BudgetNames(). No limit is 2^64 - 1, and what was used of
// it.
cbor::Map BudgetLattice(const policy::State& state);

// What is a number in a lattice, 0 where it is missing.
uint64_t NumberAt(const cbor::Map& lattice, uint64_t key);

// Joins what was written into `state`: exposure only rises, the smaller budget counts. kBadData
// where a key is unknown: a newer gateway wrote it, and what it means must not be lost.
Result<void> Restrict(policy::State& state, const cbor::Map& written, const cbor::Map& budget);

}  // namespace krux::gateway
