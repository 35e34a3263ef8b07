#include "verification/diff/oracle.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace krux::diff {
namespace {

struct Pipe {
  int read = -1;
  int write = -1;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) == 0) {
      read = ends[0];
      write = ends[1];
    }
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    Close(read);
    Close(write);
  }
  static void Close(int& end) {
    if (end >= 0) close(end);
    end = -1;
  }
};

pid_t Spawn(const std::string& program, const Pipe& in, const Pipe& out) {
  const pid_t child = fork();
  if (child != 0) return child;
  dup2(in.read, STDIN_FILENO);
  dup2(out.write, STDOUT_FILENO);
  execl(program.c_str(), program.c_str(), nullptr);
  _exit(127);
}

// Writes and reads in turns, so that neither side waits for a full pipe.
void Exchange(Pipe& in, Pipe& out, const std::vector<uint8_t>& stream,
              std::vector<uint8_t>& results) {
  fcntl(in.write, F_SETFL, O_NONBLOCK);
  size_t written = 0;
  uint8_t buffer[1 << 16];
  for (;;) {
    pollfd ends[2] = {{out.read, POLLIN, 0}, {in.write, POLLOUT, 0}};
    if (poll(ends, in.write >= 0 ? 2 : 1, -1) < 0 && errno != EINTR) return;
    if (in.write >= 0 && ends[1].revents != 0) {
      const ssize_t count = write(in.write, stream.data() + written, stream.size() - written);
      if (count > 0) written += static_cast<size_t>(count);
      if ((count < 0 && errno != EAGAIN) || written == stream.size()) Pipe::Close(in.write);
    }
    if (ends[0].revents != 0) {
      const ssize_t count = read(out.read, buffer, sizeof buffer);
      if (count <= 0) return;
      results.insert(results.end(), buffer, buffer + count);
    }
  }
}

}  // namespace

Batch::Batch() : stream(kMagic, kMagic + sizeof kMagic - 1) {}

void Batch::Add(const std::vector<Event>& run) {
  runs.push_back(events());
  for (const Event& event : run) {
    starts.push_back(stream.size());
    AppendWire(event, stream);
  }
}

std::string Ask(const std::string& oracle, Batch& batch) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe in, out;
  if (in.read < 0 || out.read < 0) return "no pipe to the oracle";
  const pid_t child = Spawn(oracle, in, out);
  if (child < 0) return "the oracle does not start";
  Pipe::Close(in.read);
  Pipe::Close(out.write);
  std::vector<uint8_t> results;
  results.reserve(batch.events() * kResultBytes);
  Exchange(in, out, batch.stream, results);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return "`" + oracle + "` ended with status " + std::to_string(status);
  if (results.size() != batch.events() * kResultBytes) {
    return "`" + oracle + "` gave " + std::to_string(results.size()) + " bytes for " +
           std::to_string(batch.events()) + " events";
  }
  batch.answers.clear();
  batch.answers.reserve(batch.events());
  for (size_t i = 0; i < batch.events(); ++i)
    batch.answers.push_back(Result::FromWire(results.data() + i * kResultBytes));
  return "";
}

}  // namespace krux::diff
