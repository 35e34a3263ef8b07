#include "runtime/worker/init_stub.h"

#include <linux/magic.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

namespace krux::runtime {
namespace {

using sandbox::Limit;

// From SIGTERM to SIGKILL. krux-spawnd waits longer than this (sandbox/call.cc).
constexpr int64_t kGraceMs = 1000;

// Set by the handlers below; this process has one thread and one program.
volatile sig_atomic_t g_child_ended = 0;
volatile sig_atomic_t g_time_is_up = 0;

void OnChild(int) { g_child_ended = 1; }

void OnTerminate(int, siginfo_t* info, void*) {
  // A sender outside of the pid namespace has no number in it; si_code tells kill(2) from what a
  // program wrote itself with rt_sigqueueinfo(2). What the program sends to its init is ignored.
  if (getpid() != 1 || (info->si_code == SI_USER && info->si_pid == 0)) g_time_is_up = 1;
}

int64_t NowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// All that the call runs. Only an init may mean everybody: kill(2) with -1 spares the sender and
// reaches no other pid namespace. A test that is no init means the program's process group.
void SignalAll(pid_t program, int signal) { kill(getpid() == 1 ? -1 : -program, signal); }

// No process can be made now: RLIMIT_NPROC or pids.max. The kernel counts both for all that runs in
// this call, so this process finds out by trying.
[[gnu::noinline]] bool NoMoreProcesses() {
  const pid_t probe = vfork();
  if (probe == 0) _exit(0);
  if (probe < 0) return errno == EAGAIN;
  waitpid(probe, nullptr, 0);
  return false;
}

// Did `program` end? It stays unreaped, so that it still counts where processes are counted.
bool HasEnded(pid_t program, bool* failed) {
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(program), &info, WEXITED | WNOHANG | WNOWAIT) != 0)
    return false;
  if (info.si_pid != program) return false;
  *failed = info.si_code != CLD_EXITED || info.si_status != 0;
  return true;
}

void ReapOrphans(pid_t program) {
  for (;;) {
    siginfo_t info{};
    // Not the program itself: its status and its usage are wanted once, at the end.
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    if (info.si_pid == program) return;
    waitpid(info.si_pid, nullptr, WNOHANG);
  }
}

uint64_t SoftLimit(__rlimit_resource resource) {
  struct rlimit limit{};
  return getrlimit(resource, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

// The kernel's timer counts whole ticks, getrusage(2) what really ran: on a busy or virtual machine
// the second can be a quarter less when the first is full.
bool UsedItsProcessorTime(const rusage& usage) {
  const uint64_t limit = SoftLimit(RLIMIT_CPU);
  const uint64_t micros =
      static_cast<uint64_t>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000 +
      static_cast<uint64_t>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  return limit != RLIM_INFINITY &&
         static_cast<double>(micros) / 1e6 >= static_cast<double>(limit) / 2;
}

// Some process of the call held nearly all that it may: then what it was refused was memory, most
// likely. Only RLIMIT_AS is set where it stands in for a cgroup, whose own events say it better.
bool CloseToMemoryLimit() {
  const uint64_t limit = SoftLimit(RLIMIT_AS);
  rusage children{};
  if (limit == RLIM_INFINITY || getrusage(RUSAGE_CHILDREN, &children) != 0) return false;
  return static_cast<uint64_t>(children.ru_maxrss) * 1024 >= limit - limit / 8;
}

Limit FullTmp() {
  struct statfs tmp{};
  if (statfs("/tmp", &tmp) != 0 || tmp.f_type != TMPFS_MAGIC) return Limit::kNone;
  if (tmp.f_files != 0 && tmp.f_ffree == 0) return Limit::kTmpFiles;
  return tmp.f_blocks != 0 && tmp.f_bavail == 0 ? Limit::kTmpBytes : Limit::kNone;
}

// Why a program failed that nobody here ended.
Limit ReachedByFailed(int status, const rusage& usage) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (signal == SIGXFSZ) return Limit::kFileSize;
    if (signal == SIGXCPU || (signal == SIGKILL && UsedItsProcessorTime(usage))) return Limit::kCpu;
  }
  if (CloseToMemoryLimit()) return Limit::kMemory;
  return FullTmp();
}

// What the program wrote before it ended lies in the pipe now. A child it left behind may go on
// writing; that is not waited for, and a pipe holds at most 1 MiB (fs.pipe-max-size).
void Drain(Stream& stream) {
  const uint64_t enough = stream.total() + (1u << 20);
  while (stream.open() && stream.total() < enough) {
    pollfd fd = {stream.fd(), POLLIN, 0};
    if (poll(&fd, 1, 0) <= 0 || !stream.Read()) return;
  }
}

// One wait for output or a signal, at most until `deadline_ms` (0: none). `waiting` is the mask
// while waiting, so that a SIGCHLD between the check and the wait is not missed, ppoll(2).
void WaitOnce(Stream& out, Stream& err, const sigset_t& waiting, int64_t deadline_ms) {
  timespec left{};
  if (deadline_ms != 0) {
    const int64_t ms = deadline_ms - NowMs();
    if (ms > 0) left = {ms / 1000, ms % 1000 * 1'000'000};
  }
  // A negative descriptor is skipped, poll(2).
  pollfd fds[2] = {{out.fd(), POLLIN, 0}, {err.fd(), POLLIN, 0}};
  if (ppoll(fds, 2, deadline_ms != 0 ? &left : nullptr, &waiting) <= 0) return;
  if (fds[0].revents != 0) out.Read();
  if (fds[1].revents != 0) err.Read();
}

}  // namespace

bool Stream::Read() {
  static uint8_t waste[64 * 1024];
  const bool full = used_ == room_.size();
  const std::span<uint8_t> into = full ? std::span<uint8_t>(waste) : room_.subspan(used_);
  const ssize_t got = read(pipe_.get(), into.data(), into.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  if (got == 0) pipe_.reset();
  if (full)
    lost_ = lost_ || got > 0;
  else
    used_ += static_cast<size_t>(got);
  total_ += static_cast<uint64_t>(got);
  return got > 0;
}

void CatchSignals(sigset_t* waiting) {
  struct sigaction on_child = {};
  on_child.sa_handler = OnChild;
  sigaction(SIGCHLD, &on_child, nullptr);
  struct sigaction on_terminate = {};
  on_terminate.sa_sigaction = OnTerminate;
  on_terminate.sa_flags = SA_SIGINFO;
  sigaction(SIGTERM, &on_terminate, nullptr);
  sigset_t block;
  sigemptyset(&block);
  sigaddset(&block, SIGCHLD);
  sigaddset(&block, SIGTERM);
  sigprocmask(SIG_BLOCK, &block, waiting);
  sigdelset(waiting, SIGCHLD);
  sigdelset(waiting, SIGTERM);
}

ProgramEnd Supervise(pid_t program, Stream& out, Stream& err, const sigset_t& waiting) {
  ProgramEnd end;
  int64_t kill_at_ms = 0;
  bool killed = false, failed = false;
  for (;;) {
    if (g_time_is_up != 0 && !end.expired) {
      end.expired = true;
      if (NoMoreProcesses()) end.limit = Limit::kPids;
      SignalAll(program, SIGTERM);
      kill_at_ms = NowMs() + kGraceMs;
    }
    const bool too_much = out.lost() || err.lost();
    const bool too_late = kill_at_ms != 0 && NowMs() >= kill_at_ms;
    if (!killed && (too_much || too_late)) {
      killed = true;
      kill_at_ms = 0;
      SignalAll(program, SIGKILL);
    }
    if (g_child_ended != 0) {
      g_child_ended = 0;
      if (HasEnded(program, &failed)) break;
      ReapOrphans(program);
    }
    WaitOnce(out, err, waiting, kill_at_ms);
  }
  if (failed && !killed && end.limit == Limit::kNone && NoMoreProcesses()) end.limit = Limit::kPids;
  rusage usage{};
  wait4(program, &end.status, 0, &usage);
  Drain(out);
  Drain(err);
  if (out.lost() || err.lost())
    end.limit = Limit::kOutput;
  else if (failed && !killed && !end.expired && end.limit == Limit::kNone)
    end.limit = ReachedByFailed(end.status, usage);
  return end;
}

}  // namespace krux::runtime
