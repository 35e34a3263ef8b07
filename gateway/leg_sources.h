// Which earlier calls brought what a decision holds against a call: for its record and for whoever
// reads the denial.
//
//   inputs.Set("legs", LegSources(flow));   // {"private_data": [call id, 12, "fs.read"], …}
//   reply.message += WhoBrought(flow);      // "; private_data came with record 12 (fs.read)"
#pragma once

#include <string>

#include "gateway/pipeline.h"

namespace krux::gateway {

// By the leg's name, [call id / null, seq / null, capability / null] of the call that first brought
// it into the session; only legs for which the call is not allowed. The seq is null as long as the
// record of that call is on its way to the disk.
cbor::Map LegSources(const CallFlow& flow);

// The same for people, empty where exposure is not why; to be read when the record is durable.
std::string WhoBrought(const CallFlow& flow);

}  // namespace krux::gateway
