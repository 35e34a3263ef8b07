// WorkerResult: what a worker left in its result memfd, judged as the work of an enemy. Seals,
// size, header and meta are checked before a byte of it is believed; the data part is only hashed.
//
//   WorkerResult result = KRUX_TRY(ReadWorkerResult(std::move(done.result), limits.result_bytes));
#pragma once

#include <string>
#include <vector>

#include "base/cbor_value.h"
#include "base/error.h"
#include "base/sealed_memfd.h"
#include "sandbox/result.h"

namespace krux::gateway {

struct WorkerResult {
  ExitCode code = ExitCode::kFailed;  // one that a worker may claim
  cbor::Value data;                   // map
  cbor::Bytes data_sha256;            // of the CBOR of `data`
  std::string message;
  bool truncated = false;
  sandbox::Limit limit = sandbox::Limit::kNone;  // that the worker saw the program reach
  uint64_t bytes = 0;                            // of the data part
  cbor::Bytes bytes_sha256;                      // of the data part
  SealedMemfd memfd;                             // passed on to the client when bytes > 0
};

// Says in `data` which limit ended the call: {"limit": "pids", …}.
void NameLimit(WorkerResult& result, sandbox::Limit limit);

// kBadData: the worker broke the layout of sandbox/result.h. `max_data`: Limits::result_bytes.
Result<WorkerResult> ReadWorkerResult(UniqueFd fd, uint64_t max_data);

}  // namespace krux::gateway
