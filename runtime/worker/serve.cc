#include "runtime/worker/serve.h"

#include <exception>
#include <iterator>

#include "runtime/request.h"
#include "runtime/worker/answer.h"
#include "runtime/worker/exec_call.h"
#include "runtime/worker/fs_calls.h"
#include "sandbox/result.h"

namespace krux::runtime {
namespace {

using Handler = Answer (*)(const Request&, std::span<uint8_t>);

struct Row {
  std::string_view capability;
  sandbox::WorkClass work_class;
  Handler handler;
};

constexpr Row kTable[] = {
    {"fs.read", sandbox::WorkClass::kFs, FsRead},
    {"fs.list", sandbox::WorkClass::kFs,
     [](const Request& r, std::span<uint8_t>) { return FsList(r); }},
    {"fs.stat", sandbox::WorkClass::kFs,
     [](const Request& r, std::span<uint8_t>) { return FsStat(r); }},
    {"proc.exec", sandbox::WorkClass::kExec, ProcExec},
};

Answer Dispatch(const sandbox::WorkerContext& context) {
  const Result<Request> request = DecodeRequest(context.request);
  if (!request)
    return Refusal(ExitCode::kInternal, "malformed request: " + request.error().message);
  for (const Row& row : kTable) {
    // A capability runs only in the class of sandbox that was built for it.
    if (row.capability != request->capability || row.work_class != context.work_class) continue;
    return row.handler(*request,
                       {context.result_map + sandbox::kResultDataOffset, context.result_bytes});
  }
  return Refusal(ExitCode::kInternal, "this sandbox cannot serve `" + request->capability + "`");
}

}  // namespace

int Serve(const sandbox::WorkerContext& context) {
  try {
    return WriteAnswer(context, Dispatch(context)) ? 0 : ToInt(ExitCode::kInternal);
  } catch (const std::exception&) {
    // Out of memory, most likely: say it with what needs none, or not at all.
    return ToInt(ExitCode::kInternal);
  }
}

}  // namespace krux::runtime
