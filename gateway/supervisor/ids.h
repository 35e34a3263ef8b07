// DaemonIds: as which uid each daemon runs. As root each gets its own: the package's user where
// there is one, else a free system id, chosen once and kept in <state>/ids. Rootless: all the
// caller's.
//
//   DaemonIds ids = KRUX_TRY(ChooseIds(state_dir.get()));
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace krux::gateway {

struct DaemonIds {
  uid_t audit = 0;
  uid_t kruxd = 0;
  uid_t spawn = 0;
  uid_t worker = 0;  // outer id of the workers
  bool operator==(const DaemonIds&) const = default;
};

// As root: re-checks the recorded ids, replaces those that are not free any more, records the
// choice. Otherwise the caller's uid for all. kConfig when no id is free. `worker`, the operator's
// choice for the workers, must be as free as the others: never 0, never an id that logs in.
Result<DaemonIds> ChooseIds(int state_dir, std::optional<unsigned> worker = std::nullopt);

// An id is free when it has no passwd or group entry, lies in no range of /etc/subuid or
// /etc/subgid, and (where `processes_matter`) no process runs under it.
bool IsFreeId(uid_t id, bool processes_matter);

}  // namespace krux::gateway
