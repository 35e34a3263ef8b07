#include "bench/fork_server.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace krux::bench {
namespace {

// The child's whole work: the file into the memfd.
[[noreturn]] void ServeOne(const std::string& path, int memfd) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) _exit(1);
  char buffer[64 * 1024];
  for (ssize_t got; (got = read(file.get(), buffer, sizeof buffer)) > 0;) {
    if (write(memfd, buffer, static_cast<size_t>(got)) != got) _exit(1);
  }
  _exit(0);
}

[[noreturn]] void Serve(const Channel& channel) {
  for (;;) {
    const Result<Packet> packet = channel.Receive();
    if (!packet || packet->eof) _exit(0);
    const std::string path(packet->bytes.begin(), packet->bytes.end());
    const UniqueFd memfd(memfd_create("answer", MFD_CLOEXEC));
    const pid_t child = fork();
    if (child == 0) ServeOne(path, memfd.get());
    int status = 0;
    waitpid(child, &status, 0);
    const uint8_t answer = status == 0 ? 0 : 1;
    const int fds[] = {memfd.get()};
    if (!channel.Send({&answer, 1}, fds)) _exit(1);
  }
}

}  // namespace

Result<ForkServer> ForkServer::Start() {
  auto [client, server] = KRUX_TRY(Channel::Pair());
  const pid_t pid = fork();
  if (pid < 0) return SysError(ExitCode::kInternal, "fork", errno);
  if (pid == 0) {
    client = Channel();
    Serve(server);
  }
  return ForkServer(std::move(client), pid);
}

ForkServer::ForkServer(ForkServer&& other) noexcept
    : channel_(std::move(other.channel_)), pid_(std::exchange(other.pid_, -1)) {}

ForkServer::~ForkServer() {
  channel_ = Channel();  // end of file: the server leaves
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

Result<std::string> ForkServer::Read(const std::string& path) {
  KRUX_TRY(channel_.Send({reinterpret_cast<const uint8_t*>(path.data()), path.size()}));
  const Packet packet = KRUX_TRY(channel_.Receive());
  if (packet.eof || packet.fds.size() != 1 || packet.bytes.at(0) != 0) {
    return Fail(ExitCode::kFailed, "fork server", "the fork server could not read `" + path + "`");
  }
  const off_t size = lseek(packet.fds[0].get(), 0, SEEK_END);
  std::string content(static_cast<size_t>(size), '\0');
  if (pread(packet.fds[0].get(), content.data(), content.size(), 0) != size) {
    return SysError(ExitCode::kFailed, "read the answer", errno);
  }
  return content;
}

}  // namespace krux::bench
