// The id map of a WORK mount: a bijection that swaps the caller's id with the worker's outer id, so
// that inside the sandbox the caller's files belong to the worker and new files belong to the
// caller. mount_setattr(2) MOUNT_ATTR_IDMAP, Documentation/filesystems/idmappings.rst.
//
//   SwapMap(1000, 990) == "0 0 990\n990 1000 1\n991 991 9\n1000 990 1\n1001 1001 4294966294\n"
//
// A one-line map would break rename, setgid directories and files of other owners; the bijection
// leaves them as they are: owned by 65534 inside, opened by their 'other' bits.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace krux::sandbox {

// Lines of "<id on disk> <id on the mount> <count>" over all ids but 4294967295, which is no id.
std::string SwapMap(uint32_t a, uint32_t b);

// A user namespace that carries SwapMap for uids and gids, as a descriptor for mount_setattr(2).
// Needs CAP_SETUID and CAP_SETGID over the whole range: only root on the host has them.
Result<UniqueFd> MakeSwapNamespace(uint32_t caller_uid, uint32_t caller_gid, uint32_t worker_id);

}  // namespace krux::sandbox
