// How a call ended, in the words of record, exit code and sentence: the whole table.
#include "gateway/ending.h"

#include <gtest/gtest.h>

namespace krux::gateway {
namespace {

using audit::Status;
using sandbox::Done;
using sandbox::Limit;

Result<WorkerResult> Answer(ExitCode code, Limit limit = Limit::kNone) {
  WorkerResult result;
  result.code = code;
  result.limit = limit;
  if (code != ExitCode::kOk) result.message = "the program exited with status 3";
  return result;
}

Result<WorkerResult> NoAnswer() {
  return Fail(ExitCode::kBadData, "result", "the worker ended without an answer");
}

Ending Name(Done::End end, const Result<WorkerResult>& answer, bool pids_refused = false) {
  Done done;
  done.end = end;
  done.pids_refused = pids_refused;
  runtime::Plan plan;
  plan.spec.limits.wall_ms = 1500;
  plan.spec.limits.pids = 48;
  plan.spec.limits.memory_bytes = 256ull << 20;
  plan.spec.limits.cpu_seconds = 7;
  plan.spec.limits.file_bytes = 1000;
  plan.template_spec.tmp_inodes = 512;
  return NameEnding(done, answer, plan);
}

TEST(Ending, NamesTheLimitItsValueAndTheNextAction) {
  const struct {
    const char* what;
    Ending ending;
    Status status;
    ExitCode code;
    Limit limit;
    const char* says;
  } rows[] = {
      {"in time", Name(Done::End::kExited, Answer(ExitCode::kOk)), Status::kOk, ExitCode::kOk,
       Limit::kNone, ""},
      {"failed", Name(Done::End::kExited, Answer(ExitCode::kFailed)), Status::kFailed,
       ExitCode::kFailed, Limit::kNone, "status 3"},
      {"wall", Name(Done::End::kTimeout, NoAnswer()), Status::kTimeout, ExitCode::kTimeout,
       Limit::kWall, "1500 ms; give it less to do"},
      {"wall, answered", Name(Done::End::kTimeout, Answer(ExitCode::kFailed)), Status::kTimeout,
       ExitCode::kTimeout, Limit::kWall, "1500 ms"},
      {"wall, though the program came to an end in its last second",
       Name(Done::End::kTimeout, Answer(ExitCode::kOk)), Status::kTimeout, ExitCode::kTimeout,
       Limit::kWall, "1500 ms"},
      {"cpu", Name(Done::End::kExited, Answer(ExitCode::kFailed, Limit::kCpu)), Status::kTimeout,
       ExitCode::kTimeout, Limit::kCpu, "7 s of processor time"},
      {"memory, by the kernel", Name(Done::End::kOom, NoAnswer()), Status::kOom, ExitCode::kFailed,
       Limit::kMemory, "the call reached its limit of 256 MiB of memory; "},
      {"memory, judged", Name(Done::End::kExited, Answer(ExitCode::kFailed, Limit::kMemory)),
       Status::kOom, ExitCode::kFailed, Limit::kMemory, "came close to its limit of 256 MiB"},
      {"pids, by the kernel", Name(Done::End::kExited, Answer(ExitCode::kFailed), true),
       Status::kPids, ExitCode::kFailed, Limit::kPids, "48 processes and threads; start fewer"},
      {"pids, by the stub", Name(Done::End::kExited, Answer(ExitCode::kFailed, Limit::kPids)),
       Status::kPids, ExitCode::kFailed, Limit::kPids,
       "status 3; the call reached its limit of 48"},
      {"pids at the deadline", Name(Done::End::kTimeout, Answer(ExitCode::kFailed, Limit::kPids)),
       Status::kPids, ExitCode::kFailed, Limit::kPids, "ran out of time; the call reached its"},
      {"pids, by the kernel, at the deadline", Name(Done::End::kTimeout, NoAnswer(), true),
       Status::kPids, ExitCode::kFailed, Limit::kPids, "48 processes"},
      {"output", Name(Done::End::kExited, Answer(ExitCode::kFailed, Limit::kOutput)),
       Status::kOutput, ExitCode::kFailed, Limit::kOutput, "16 MiB of output"},
      {"a file", Name(Done::End::kExited, Answer(ExitCode::kFailed, Limit::kFileSize)),
       Status::kFailed, ExitCode::kFailed, Limit::kFileSize,
       "a file reached its limit of 1000 bytes"},
      {"/tmp, bytes", Name(Done::End::kExited, Answer(ExitCode::kFailed, Limit::kTmpBytes)),
       Status::kFailed, ExitCode::kFailed, Limit::kTmpBytes, "/tmp is full with 64 MiB"},
      {"/tmp, files", Name(Done::End::kExited, Answer(ExitCode::kFailed, Limit::kTmpFiles)),
       Status::kFailed, ExitCode::kFailed, Limit::kTmpFiles, "512 files; use less"},
      {"cancelled", Name(Done::End::kCancelled, NoAnswer(), true), Status::kCancelled,
       ExitCode::kInterrupted, Limit::kNone, "cancelled"},
      {"the worker itself", Name(Done::End::kSignaled, NoAnswer()), Status::kKilled,
       ExitCode::kFailed, Limit::kNone, "killed by signal"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(row.ending.status, row.status) << row.what;
    EXPECT_EQ(row.ending.code, row.code) << row.what;
    EXPECT_EQ(row.ending.limit, row.limit) << row.what;
    EXPECT_NE(row.ending.reason.find(row.says), std::string::npos)
        << row.what << ": " << row.ending.reason;
  }
}

TEST(Ending, ALimitThatWasOnlyTouchedNamesNothing) {
  const Ending touched = Name(Done::End::kExited, Answer(ExitCode::kOk), true);
  EXPECT_EQ(touched.status, Status::kOk);
  EXPECT_EQ(touched.limit, Limit::kNone);
}

TEST(Ending, AWorkerCannotAnswerAfterItWasKilled) {
  EXPECT_TRUE(MayAnswer(Done::End::kExited));
  EXPECT_TRUE(MayAnswer(Done::End::kTimeout)) << "the init stub answers in its last second";
  for (const Done::End end :
       {Done::End::kSignaled, Done::End::kOom, Done::End::kCancelled, Done::End::kSecretLost})
    EXPECT_FALSE(MayAnswer(end));
}

}  // namespace
}  // namespace krux::gateway
