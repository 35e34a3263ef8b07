// Serve: the one function of a confined worker. It reads the request, does that one thing and
// writes the answer into the result memfd (sandbox/result.h).
//
//   sandbox::WorkerEntry entry = &runtime::Serve;   // krux-spawnd's main passes it in
//
// The meta part is {"code": exit code, "data": map, "limit": sandbox::Limit, "message": text,
// "truncated": bool}. The data part is the content of the file (fs.read) or stdout followed by
// stderr (proc.exec).
#pragma once

#include "sandbox/worker_entry.h"

namespace krux::runtime {

// Exit status of the worker: 0 when an answer stands in the result, whatever it says; 70 when none.
int Serve(const sandbox::WorkerContext& context);

}  // namespace krux::runtime
