// WhatBecameOf: what the log says of a call whose gateway ended before it answered.
//
//   Error error = WhatBecameOf(paths, start, {opened.session, client.last_call()}, lost);  // 69
//
// A call leaves an intent before it has any effect, and a gateway that starts again closes what its
// predecessor left open. So the log can tell "nothing ran" from "it may have run" and from "it
// ended, only its answer is lost". Where the log cannot be read, `lost` comes back as it is.
#pragma once

#include "gateway/client/ensure.h"

namespace krux::tools {

struct LostCall {
  cbor::Bytes session;
  uint64_t request = 0;
};

Error WhatBecameOf(const gateway::GatewayPaths& paths, const gateway::StartOptions& start,
                   const LostCall& call, Error lost);

}  // namespace krux::tools
