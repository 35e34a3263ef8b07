// Ending: how the sandbox part of a call ended, in the words of the outcome record. A call that a
// limit ended says which, how large it was and what to do about it.
//
//   Ending ending = NameEnding(done, ReadWorkerResult(…), plan);   // {kPids, 1, …, "… 64
//   processes"}
#pragma once

#include <string>

#include "audit/record.h"
#include "gateway/worker_result.h"
#include "runtime/plan.h"
#include "sandbox/client.h"

namespace krux::gateway {

struct Ending {
  audit::Status status = audit::Status::kUnknown;
  ExitCode code = ExitCode::kInternal;
  int64_t detail = 0;  // worker's exit status, signal or errno
  std::string reason;  // one sentence; empty when ok
  sandbox::Limit limit = sandbox::Limit::kNone;
};

// May the worker still have answered, if it ended like this?
bool MayAnswer(sandbox::Done::End end);

// What spawnd saw (its own clock, the cgroup's events) goes before what the worker says. A limit
// that was only touched names nothing: a call that succeeded is ok.
Ending NameEnding(const sandbox::Done& done, const Result<WorkerResult>& answer,
                  const runtime::Plan& plan);

}  // namespace krux::gateway
