// nftables: one inet table that drops everything in, out and forward, and counts what it dropped.
// The netlink batch is made when krux is built (libnftnl); run time sends bytes and reads answers.
//
//   int fd = OpenNetlink();                         // child, in its new network namespace
//   if (int error = SendNftBatch(fd); error < 0) ...
//   … fd goes out by SCM_RIGHTS …
//   cbor::Value dump = KRUX_TRY(DumpNft(fd));       // krux-spawnd: what the kernel really holds
//   if (!NftMatches(dump)) ...
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cbor_value.h"
#include "base/error.h"

namespace krux::sandbox {

struct NftBatch {
  const uint8_t* bytes;  // one netfilter batch, netlink(7) messages back to back
  size_t size;           // bytes
  unsigned acks;         // messages in it that ask for an acknowledgement
};
const NftBatch& DefaultDropBatch();

// A NETLINK_NETFILTER socket of the calling process's network namespace, close-on-exec, or -errno.
// Child; async-signal-safe.
int OpenNetlink();

// Sends the batch and reads every acknowledgement. 0, or -errno of the first message the kernel
// refused; -EPROTO when an acknowledgement is missing. Child; async-signal-safe; needs
// CAP_NET_ADMIN in the network namespace's user namespace.
int SendNftBatch(int fd);
int SendNftBatch(int fd, const NftBatch& batch);

// Dumps the namespace that `fd` was opened in:
//   {"tables": ["inet krux"], "chains": [{"name","hook","policy"}…], "rules": n,
//    "expressions": ["input counter"…], "packets": dropped so far}
// The caller needs CAP_NET_ADMIN over that namespace. At most 64 KiB and one second are spent.
Result<cbor::Value> DumpNft(int fd);

// True if `dump` is exactly what DefaultDropBatch() makes; "packets" may be anything.
bool NftMatches(const cbor::Value& dump);

}  // namespace krux::sandbox
