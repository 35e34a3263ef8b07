// Policies by hash beside the log: <log dir>/policies/<sha256 in hex>. A record names the hash, so
// a state can be rebuilt and a call decided again from what is stored here.
//
//   KRUX_TRY(StorePolicy(SystemIo(), log_dir, text));
#pragma once

#include "audit/client.h"
#include "audit/io.h"

namespace krux::audit {

// Writes the text durably. One that is there already must have the content its name says.
Result<void> StorePolicy(Io& io, int log_dir, std::span<const uint8_t> text);
// The text of that hash, and no other: kNotFound where it is missing, kAudit where it was changed.
Result<cbor::Bytes> FindPolicy(Io& io, int log_dir, const cbor::Bytes& hash);

}  // namespace krux::audit
