// ServeOrMisbehave: what a worker of the test build does. A request of a capability `worker.NAME`
// is a worker that somebody has taken over: it tries NAME with the authority that the worker itself
// has, before any program is started. Everything else is the worker as shipped.
//
//   Request{"worker.mount", {{"words", {"/home/ann/project"}}}, grants, scope}
//
// It answers with the line that an escape program would print, as the data part.
#pragma once

#include "sandbox/worker_entry.h"

namespace krux::sandbox {

int ServeOrMisbehave(const WorkerContext& context);

}  // namespace krux::sandbox
