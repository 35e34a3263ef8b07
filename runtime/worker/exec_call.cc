#include "runtime/worker/exec_call.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "base/sealed_memfd.h"
#include "base/unique_fd.h"
#include "runtime/worker/init_stub.h"

namespace krux::runtime {
namespace {

constexpr std::array<const char*, 3> kSearchPath = {"/usr/local/bin/", "/usr/bin/", "/bin/"};
constexpr const char* kEnvironment[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                        "HOME=/tmp",
                                        "TMPDIR=/tmp",
                                        "LANG=C.UTF-8",
                                        "TERM=dumb",
                                        nullptr};

constexpr size_t kChunk = 256 * 1024;

std::string Quote(std::string_view text) { return "`" + SafeText(text) + "`"; }

// Everything the child needs, laid out before vfork(2): after it, only system calls.
struct Program {
  std::vector<std::string> files;  // tried in order
  std::vector<char*> argv;
  UniqueFd cwd, in, out, err;  // `out`, `err`: the write ends
  volatile int error = 0;      // errno of the step that failed, written by the child
};

// In the child of vfork(2): system calls only, never returns.
[[noreturn]] void BecomeProgram(Program& program) {
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  // execve(2) keeps ignored signals ignored, and this process's starter may have ignored some.
  for (int signal = 1; signal < _NSIG; ++signal) sigaction(signal, &standard, nullptr);
  setsid();
  bool ready = fchdir(program.cwd.get()) == 0 && dup2(program.in.get(), 0) == 0 &&
               dup2(program.out.get(), 1) == 1 && dup2(program.err.get(), 2) == 2;
  ready = ready && syscall(SYS_close_range, 3u, ~0u, 0u) == 0;
  sigset_t none;
  sigemptyset(&none);
  ready = ready && sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
  if (!ready) {
    program.error = errno;
    _exit(127);
  }
  int error = ENOENT;
  for (const std::string& file : program.files) {
    execve(file.c_str(), program.argv.data(), const_cast<char* const*>(kEnvironment));
    if (errno == ENOENT || errno == ENOTDIR) continue;
    error = errno;
    if (errno != EACCES) break;
  }
  program.error = error;
  _exit(127);
}

// Its own function and not inlined: the child of vfork(2) runs on this stack frame.
[[gnu::noinline]] pid_t Start(Program& program) {
  const pid_t pid = vfork();
  if (pid == 0) BecomeProgram(program);
  return pid;
}

Answer StartRefusal(int error, const std::string& name) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return Refusal(ExitCode::kNotFound,
                     "program " + Quote(name) +
                         " was not found, or the interpreter its first line names was not");
    case EACCES:
    case EPERM:
      return Refusal(ExitCode::kFailed,
                     "program " + Quote(name) + " may not be executed: permission denied");
    case ENOEXEC:
      return Refusal(ExitCode::kBadData,
                     Quote(name) + " is no program; a script needs a `#!` line");
    case E2BIG:
      return Refusal(ExitCode::kBadData, "the arguments of " + Quote(name) + " are too long");
    default:
      return Refusal(SysError(ExitCode::kFailed, "start " + Quote(name), error).error());
  }
}

// Room for stdout and stderr in one data part: a quarter is kept for stderr.
Answer Report(const ProgramEnd& end, const Stream& out, const Stream& err,
              std::span<uint8_t> room) {
  const int status = end.status;
  const std::span<uint8_t> first = out.bytes(), second = err.bytes();
  std::memmove(room.data() + first.size(), second.data(), second.size());
  Answer answer;
  answer.data_bytes = first.size() + second.size();
  answer.truncated = out.lost() || err.lost() || end.expired;
  answer.limit = end.limit;
  answer.data.Set("stdout_bytes", static_cast<uint64_t>(first.size()));
  answer.data.Set("stderr_bytes", static_cast<uint64_t>(second.size()));
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    answer.code = ExitCode::kFailed;
    answer.message = "the program was ended by signal " + std::to_string(signal);
    answer.data.Set("signal", static_cast<unsigned>(signal));
  } else {
    const int exit = WEXITSTATUS(status);
    if (exit != 0) {
      answer.code = ExitCode::kFailed;
      answer.message = "the program exited with status " + std::to_string(exit);
    }
    answer.data.Set("exit", static_cast<unsigned>(exit));
  }
  // Also where the program itself came to a good end: it said more than anybody will see.
  if (end.limit == sandbox::Limit::kOutput) answer.code = ExitCode::kFailed;
  return answer;
}

// A copy of the input: its own open file, whose offset and flags nobody outside shares, sealed and
// never executable.
Result<UniqueFd> OpenStdin(const Content* input) {
  if (input == nullptr) {
    UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null.valid()) return SysError(ExitCode::kInternal, "open /dev/null in the sandbox", errno);
    return null;
  }
  UniqueFd copy = KRUX_TRY(SealedMemfd::Create("stdin", input->size()));
  std::vector<uint8_t> chunk(kChunk);
  for (uint64_t at = 0; at < input->size();) {
    const std::span<const uint8_t> bytes = KRUX_TRY(input->Read(at, chunk));
    const ssize_t put = pwrite(copy.get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return SysError(ExitCode::kFailed, "copy the program's stdin", errno);
    at += static_cast<uint64_t>(put);
  }
  KRUX_TRY(SealedMemfd::Seal(copy.get()));
  return copy;
}

// Fills `program` and opens the pipes; `out` and `err` get the read ends.
Result<void> Prepare(const std::vector<std::string>& words, const std::string& cwd,
                     const Content* input, Program& program, UniqueFd& out, UniqueFd& err) {
  if (words[0].find('/') != std::string::npos) {
    program.files = {words[0]};
  } else {
    for (const char* folder : kSearchPath) program.files.push_back(folder + words[0]);
  }
  for (const std::string& word : words) program.argv.push_back(const_cast<char*>(word.c_str()));
  program.argv.push_back(nullptr);
  program.cwd = UniqueFd(open(cwd.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!program.cwd.valid()) {
    return Fail(ExitCode::kNotFound, "proc.exec",
                "working directory " + Quote(cwd) + " does not exist");
  }
  program.in = KRUX_TRY(OpenStdin(input));
  int first[2], second[2];
  if (pipe2(first, O_CLOEXEC) != 0) return SysError(ExitCode::kInternal, "pipe", errno);
  out = UniqueFd(first[0]);
  program.out = UniqueFd(first[1]);
  if (pipe2(second, O_CLOEXEC) != 0) return SysError(ExitCode::kInternal, "pipe", errno);
  err = UniqueFd(second[0]);
  program.err = UniqueFd(second[1]);
  return {};
}

// dup2 onto 0, 1 and 2 must not destroy a source: lifts every source above them.
Result<void> LiftAboveStandard(UniqueFd& fd) {
  if (fd.get() > 2) return {};
  const int lifted = fcntl(fd.get(), F_DUPFD_CLOEXEC, 3);
  if (lifted < 0) return SysError(ExitCode::kInternal, "dup", errno);
  fd.reset(lifted);
  return {};
}

}  // namespace

Answer ProcExec(const Request& request, std::span<uint8_t> room, const Content* input) {
  std::vector<std::string> words;
  const cbor::Value* argv = request.args.Find("argv");
  const cbor::Value* cwd = request.args.Find("cwd");
  if (argv != nullptr && argv->array() != nullptr) {
    for (const cbor::Value& word : *argv->array())
      words.push_back(word.text() == nullptr ? "" : *word.text());
  }
  if (words.empty() || cwd == nullptr || cwd->text() == nullptr) {
    return Refusal(ExitCode::kInternal, "the request has no `argv` or no `cwd`");
  }
  // For the kernel a NUL ends a word; what the policy was asked about would be another one.
  for (const std::string& word : words) {
    if (word.find('\0') != std::string::npos)
      return Refusal(ExitCode::kBadData, Quote(word) + " holds a NUL byte");
  }
  Program program;
  UniqueFd out_pipe, err_pipe;
  if (Result<void> ready = Prepare(words, *cwd->text(), input, program, out_pipe, err_pipe);
      !ready) {
    return Refusal(ready.error());
  }
  for (UniqueFd* fd : {&program.cwd, &program.in, &program.out, &program.err}) {
    if (Result<void> lifted = LiftAboveStandard(*fd); !lifted) return Refusal(lifted.error());
  }
  sigset_t waiting;
  CatchSignals(&waiting);
  const pid_t pid = Start(program);
  if (pid < 0)
    return Refusal(SysError(ExitCode::kFailed, "start " + Quote(words[0]), errno).error());
  program.out.reset();
  program.err.reset();

  const size_t for_stdout = room.size() - room.size() / 4;
  Stream out(std::move(out_pipe), room.first(for_stdout));
  Stream err(std::move(err_pipe), room.subspan(for_stdout));
  const ProgramEnd end = Supervise(pid, out, err, waiting);
  if (program.error != 0) return StartRefusal(program.error, words[0]);
  return Report(end, out, err, room);
}

}  // namespace krux::runtime
