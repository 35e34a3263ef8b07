#include "gateway/ending.h"

namespace krux::gateway {
namespace {

using audit::Status;
using sandbox::Done;
using sandbox::Limit;

std::string Bytes(uint64_t bytes) {
  if (bytes != 0 && bytes % (1u << 20) == 0) return std::to_string(bytes >> 20) + " MiB";
  return std::to_string(bytes) + " bytes";
}

// The limit, its value, the next action.
std::string Sentence(Limit limit, const runtime::Plan& plan, bool kernel) {
  const sandbox::Limits& limits = plan.spec.limits;
  switch (limit) {
    case Limit::kNone:
      break;
    case Limit::kWall:
      return "the call reached its limit of " + std::to_string(limits.wall_ms) +
             " ms; give it less to do, or a larger `timeout_ms` where it takes one";
    case Limit::kCpu:
      return "the program reached its limit of " + std::to_string(limits.cpu_seconds) +
             " s of processor time; give it less to do at once";
    case Limit::kMemory:
      // Where the cgroup is degraded the limit is a process's own and its failure is judged.
      return std::string(kernel ? "the call reached" : "a process of the call came close to") +
             " its limit of " + Bytes(limits.memory_bytes) +
             " of memory; give it less to hold at once";
    case Limit::kPids:
      return "the call reached its limit of " + std::to_string(limits.pids) +
             " processes and threads; start fewer at a time";
    case Limit::kOutput:
      return "the call reached its limit of " + Bytes(limits.result_bytes) +
             " of output (a quarter of it for stderr); write to a file instead";
    case Limit::kFileSize:
      return "a file reached its limit of " + Bytes(limits.file_bytes) + "; write smaller files";
    case Limit::kTmpBytes:
      return "/tmp is full with " + Bytes(plan.template_spec.tmp_bytes) + "; use less of it";
    case Limit::kTmpFiles:
      return "/tmp is full with " + std::to_string(plan.template_spec.tmp_inodes) +
             " files; use less of it";
  }
  return {};
}

Status StatusOf(Limit limit) {
  switch (limit) {
    case Limit::kWall:
    case Limit::kCpu:
      return Status::kTimeout;
    case Limit::kMemory:
      return Status::kOom;
    case Limit::kPids:
      return Status::kPids;
    case Limit::kOutput:
      return Status::kOutput;
    default:
      return Status::kFailed;
  }
}

// `said`: how the program ended, in the worker's words; may be empty.
Ending Limited(Limit limit, const Done& done, const runtime::Plan& plan, const std::string& said) {
  const Status status = StatusOf(limit);
  const std::string sentence =
      Sentence(limit, plan, done.end == Done::End::kOom || done.pids_refused);
  return {status, status == Status::kTimeout ? ExitCode::kTimeout : ExitCode::kFailed, done.status,
          said.empty() ? sentence : said + "; " + sentence, limit};
}

Ending OfAnswer(const Done& done, const WorkerResult& answer, const runtime::Plan& plan) {
  ExitCode code = answer.code;
  if (code == ExitCode::kOk && done.status != 0) code = ExitCode::kFailed;
  if (code == ExitCode::kOk) return {Status::kOk, code, done.status, answer.message, Limit::kNone};
  Limit limit = answer.limit;
  if (limit == Limit::kNone && done.pids_refused) limit = Limit::kPids;
  if (limit != Limit::kNone) return Limited(limit, done, plan, answer.message);
  return {Status::kFailed, code, done.status, answer.message, Limit::kNone};
}

}  // namespace

bool MayAnswer(Done::End end) { return end == Done::End::kExited || end == Done::End::kTimeout; }

Ending NameEnding(const Done& done, const Result<WorkerResult>& answer, const runtime::Plan& plan) {
  switch (done.end) {
    case Done::End::kCancelled:
      return {Status::kCancelled, ExitCode::kInterrupted, done.status, "the call was cancelled",
              Limit::kNone};
    case Done::End::kSecretLost:
      return {Status::kKilled, ExitCode::kFailed, done.status,
              done.note + "; what the program printed is withheld", Limit::kNone};
    case Done::End::kOom:
      return Limited(Limit::kMemory, done, plan, {});
    case Done::End::kSignaled:
      return {Status::kKilled, ExitCode::kFailed, done.status,
              "the worker was killed by signal " + std::to_string(done.status), Limit::kNone};
    case Done::End::kTimeout: {
      // What kept it from ending in time, where that can be seen.
      const bool crowded = done.pids_refused || (answer && answer->limit == Limit::kPids);
      if (!crowded) return Limited(Limit::kWall, done, plan, {});
      return Limited(Limit::kPids, done, plan, "the call ran out of time");
    }
    case Done::End::kExited:
      break;
  }
  if (answer) return OfAnswer(done, *answer, plan);
  if (done.pids_refused) return Limited(Limit::kPids, done, plan, answer.error().message);
  return {Status::kFailed, ExitCode::kFailed, done.status, answer.error().message, Limit::kNone};
}

}  // namespace krux::gateway
