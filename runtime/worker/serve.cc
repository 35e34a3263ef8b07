#include "runtime/worker/serve.h"

#include <exception>
#include <iterator>

#include "runtime/request.h"
#include "runtime/worker/answer.h"
#include "runtime/worker/content.h"
#include "runtime/worker/exec_call.h"
#include "runtime/worker/fs_calls.h"
#include "runtime/worker/write_call.h"
#include "sandbox/result.h"

namespace krux::runtime {
namespace {

using sandbox::WorkerContext;
using Handler = Answer (*)(const Request&, const WorkerContext&);

// The data part of the result.
std::span<uint8_t> Room(const WorkerContext& context) {
  return {context.result_map + sandbox::kResultDataOffset, context.result_bytes};
}

Answer Write(const Request& request, const WorkerContext& context) {
  const Result<Content> content = Content::Of(request, "content", context);
  if (!content) return Refusal(content.error());
  // Ended at its deadline, the call still says what stood there before.
  return FsWrite(request, *content, [&](const Answer& answer) { WriteAnswer(context, answer); });
}

Answer Exec(const Request& request, const WorkerContext& context) {
  if (request.args.Find("stdin") == nullptr) return ProcExec(request, Room(context), nullptr);
  const Result<Content> input = Content::Of(request, "stdin", context);
  return input ? ProcExec(request, Room(context), &*input) : Refusal(input.error());
}

#ifdef KRUX_TEST_HOOKS
// What the capabilities that stand for the network answer (runtime/catalog.cc): nobody is there.
Answer TestAnswer(const Request&, const WorkerContext&) {
  return Answer{.data = cbor::Map{{"said", "what a stranger says"}}};
}
#endif

struct Row {
  std::string_view capability;
  sandbox::WorkClass work_class;
  Handler handler;
};

constexpr Row kTable[] = {
    {"fs.read", sandbox::WorkClass::kFs,
     [](const Request& r, const WorkerContext& c) { return FsRead(r, Room(c)); }},
    {"fs.list", sandbox::WorkClass::kFs,
     [](const Request& r, const WorkerContext&) { return FsList(r); }},
    {"fs.stat", sandbox::WorkClass::kFs,
     [](const Request& r, const WorkerContext&) { return FsStat(r); }},
#ifdef KRUX_TEST_HOOKS
    {"test.ingest", sandbox::WorkClass::kFs, TestAnswer},
    {"test.send", sandbox::WorkClass::kFs, TestAnswer},
    {"test.push", sandbox::WorkClass::kFs, TestAnswer},
#endif
    {"fs.write", sandbox::WorkClass::kWrite, Write},
    {"proc.exec", sandbox::WorkClass::kExec, Exec},
};

Answer Dispatch(const WorkerContext& context) {
  const Result<Request> request = DecodeRequest(context.request);
  if (!request)
    return Refusal(ExitCode::kInternal, "malformed request: " + request.error().message);
  for (const Row& row : kTable) {
    // A capability runs only in the class of sandbox that was built for it.
    if (row.capability != request->capability || row.work_class != context.work_class) continue;
    return row.handler(*request, context);
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
