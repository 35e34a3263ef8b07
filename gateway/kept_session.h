// KeptSession: a session that a gateway before this one left: known from the log, not at work.
//
//   KeptSession kept = KRUX_TRY(KeptSessionFrom(id, details));        // of krux-auditd's carry
//   if (IsOf(kept, {.uid = 1000, .profile = "local_dev", …})) …       // it goes on
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "base/cbor_value.h"
#include "base/error.h"

namespace krux::gateway {

// How a session was opened: what its record says, and by what it is found again.
struct Opening {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string work;  // host path
  uint64_t device = 0, inode = 0;
  std::string profile;
  cbor::Bytes policy_hash;    // of the policy it runs under
  cbor::Bytes named_hash;     // of what its profile's name meant when that was looked at last
  uint64_t policy_epoch = 1;  // of that meaning
  uint64_t opened_ms = 0;     // wall time of its first opening
  uint64_t resumed = 0;       // how often it was resumed
};
// The details of the records "opened" and "resumed".
cbor::Map OpeningDetails(const Opening& opening, const cbor::Map& state, const cbor::Map& budget);
Result<Opening> OpeningFrom(const cbor::Map& details);

using Since =
    std::map<uint64_t, uint64_t>;  // bit of the exposure → seq of the record with its call

struct KeptSession {
  cbor::Bytes id;  // 16 bytes
  Opening opening;
  cbor::Map state, budget;  // lattices
  Since since;
  std::string policy_text;
};
Result<KeptSession> KeptSessionFrom(const cbor::Bytes& id, const cbor::Map& details);

// The same user works under the same profile in the same directory: by its path, or by what it is.
bool SamePlace(const Opening& kept, const Opening& now);  // path and inode
bool MayBeSamePlace(const Opening& kept, const Opening& now);
// The same user works in the same directory, under whatever profile.
bool MayBeSameWork(const Opening& kept, const Opening& now);

}  // namespace krux::gateway
