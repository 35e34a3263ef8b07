// Receipt: what was measured to hold in one sandbox, field by field, each with how it is known.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/cbor_value.h"
#include "sandbox/spec.h"

namespace krux::sandbox {

// How a field of a receipt is known.
enum class Evidence : uint8_t {
  kKernel = 0,  // read back from the kernel by spawnd, outside the sandbox
  kProbe = 1,   // tried live inside, before any agent-reachable code ran
  kSelf = 2,    // only the process itself can say it (securebits, PDEATHSIG)
};
const char* Name(Evidence evidence);

struct ReceiptField {
  cbor::Value value;
  Evidence evidence = Evidence::kKernel;
};

// Names of fields (one truth, docs/PRIVSEP.md is checked against it): "pid" (host pid of the
// worker), "uid_map", "gid_map", "ids", "groups", "caps", "no_new_privs", "seccomp_mode",
// "seccomp_filters", "seccomp_digest", "namespaces" (map name → inode), "mounts" (SHA-256 of the
// normalised mountinfo), "cgroup" (path, or null), "cgroup_limits", "rlimits", "fds", "nftables",
// "landlock_abi", "landlock_canary", "landlock_granted", "socket", "securebits", "pdeathsig",
// "idmap", "unprovable", "degraded".
using Receipt = std::map<std::string, ReceiptField>;

// {name → [value, "kernel" | "probe" | "self"]}, the form of the audit record.
cbor::Value ToValue(const Receipt& receipt);
Result<Receipt> ReceiptFromValue(const cbor::Value& value);

}  // namespace krux::sandbox
