// What the body of a record may look like, as one table per kind (docs/AUDIT_FORMAT.md §4). A draft
// that this refuses is never written; krux-verify judges the same rules with code of its own.
//
//   KRUX_TRY(CheckDraft(draft));
#pragma once

#include "audit/record.h"

namespace krux::audit {

// The kinds that may come over the channel. The rest is krux-auditd's own, or reserved.
bool MayBeAppended(Kind kind);

// Every key known and of its shape, every required key there, every commitment opened by `openings`
// and nothing else in it. Error code kBadData.
Result<void> CheckDraft(const Draft& draft);

}  // namespace krux::audit
