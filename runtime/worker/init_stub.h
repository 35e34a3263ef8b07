// The init stub: what the worker of a program is, once the program runs. It is pid 1 of the call's
// pid namespace: it reaps every orphan, collects what the program prints, ends it when its time or
// its output is up, and says which limit it saw the program reach. pid_namespaces(7): when it goes,
// the kernel kills everything in the namespace.
//
//   CatchSignals(&waiting);
//   pid_t pid = …vfork, exec…;
//   Stream out(std::move(out_pipe), room), err(std::move(err_pipe), more_room);
//   ProgramEnd end = Supervise(pid, out, err, waiting);
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <span>

#include "base/unique_fd.h"
#include "sandbox/result.h"

namespace krux::runtime {

// One pipe into a part of the result. What does not fit is counted as lost.
class Stream {
 public:
  Stream(UniqueFd pipe, std::span<uint8_t> room) : pipe_(std::move(pipe)), room_(room) {}

  // One read(2). False at the end of the stream.
  bool Read();

  int fd() const { return pipe_.get(); }
  bool open() const { return pipe_.valid(); }
  std::span<uint8_t> bytes() const { return room_.first(used_); }
  bool lost() const { return lost_; }
  uint64_t total() const { return total_; }

 private:
  UniqueFd pipe_;
  std::span<uint8_t> room_;
  size_t used_ = 0;
  uint64_t total_ = 0;
  bool lost_ = false;
};

// Handlers for SIGCHLD and SIGTERM, both blocked but while waiting; `waiting` is the mask for that.
void CatchSignals(sigset_t* waiting);

struct ProgramEnd {
  int status = 0;        // waitpid(2)
  bool expired = false;  // krux-spawnd said that the time is up
  // What it reached, as far as that can be seen from here: the output it was ended for; the
  // processes where no more could be made as it ended; where it failed, also processor time, memory
  // (RLIMIT_AS), file size and /tmp.
  sandbox::Limit limit = sandbox::Limit::kNone;
};

// Returns when `program` has ended, everything it had printed is read and nothing else is waited
// for: what it left running ends with this process.
ProgramEnd Supervise(pid_t program, Stream& out, Stream& err, const sigset_t& waiting);

}  // namespace krux::runtime
