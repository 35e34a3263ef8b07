// Answer: what a worker says about its call, and how it is put into the result memfd.
//
//   Answer answer{.data = cbor::Map{{"path", "/home/ann/project"}}};
//   WriteAnswer(context, answer);
#pragma once

#include <string>
#include <string_view>

#include "base/cbor_value.h"
#include "base/error.h"
#include "sandbox/result.h"
#include "sandbox/worker_entry.h"

namespace krux::runtime {

struct Answer {
  ExitCode code = ExitCode::kOk;
  std::string message = {};  // lower case, what went wrong, then what to do
  cbor::Map data = {};
  bool truncated = false;                        // there is more than was returned
  uint64_t data_bytes = 0;                       // of the data part, already in place
  sandbox::Limit limit = sandbox::Limit::kNone;  // that the program was seen to reach
};

Answer Refusal(ExitCode code, std::string message);
Answer Refusal(const Error& error);

// Writes meta and header; the magic last, so that a torn answer is none. False when the memfd has
// no room for it.
bool WriteAnswer(const sandbox::WorkerContext& context, const Answer& answer);

// `bytes` as UTF-8: what is not becomes `\xNN`. Names on disk are bytes, messages are text.
std::string SafeText(std::string_view bytes);

}  // namespace krux::runtime
