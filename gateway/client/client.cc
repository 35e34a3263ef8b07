#include "gateway/client/client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/clock.h"
#include "gateway/bounds.h"
#include "sandbox/result.h"

namespace krux::gateway {
namespace {

constexpr int kPollMs = 10;
constexpr uint64_t kMaxResultBytes = sandbox::kResultDataOffset + (64ull << 20);

// What Error::sys_errno is when the gateway ended after it had taken a request.
constexpr int kLost = ENODATA;

Error Unreachable(std::string message, int sys_errno = 0) {
  return Error{ExitCode::kUnreachable, sys_errno, "gateway", std::move(message)};
}

Error NotTaken(int sys_errno) {
  return Unreachable("the gateway ended before it took the request; nothing ran, ask again",
                     sys_errno);
}

// What went wrong with waiting for an answer. A peer that ends with something unread in its queue
// resets the connection (unix(7), ECONNRESET), so an orderly end says that it had read everything.
Error NoAnswer(Error error) {
  if (error.code == ExitCode::kTimeout) {
    return Unreachable("the gateway does not answer; `krux gateway status` and its log say more");
  }
  if (error.sys_errno == ECONNRESET || error.sys_errno == EPIPE) return NotTaken(error.sys_errno);
  return error;
}

}  // namespace

Result<UniqueFd> SealInput(std::span<const uint8_t> bytes) {
  UniqueFd fd = KRUX_TRY(SealedMemfd::Create("krux-input", bytes.size()));
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t put =
        pwrite(fd.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return SysError(ExitCode::kInternal, "write memfd", put < 0 ? errno : EIO);
    at += static_cast<size_t>(put);
  }
  KRUX_TRY(SealedMemfd::Seal(fd.get()));
  return fd;
}

bool WasNotTaken(const Error& error) {
  return error.sys_errno == ENOENT || error.sys_errno == ECONNREFUSED ||
         error.sys_errno == ECONNRESET || error.sys_errno == EPIPE || error.sys_errno == ESHUTDOWN;
}

bool WasLost(const Error& error) {
  return error.code == ExitCode::kUnreachable && error.sys_errno == kLost;
}

Result<ResultBytes> ResultBytes::Accept(UniqueFd fd, uint64_t bytes) {
  ResultBytes result;
  result.memfd_ = KRUX_TRY(SealedMemfd::Accept(std::move(fd), kMaxResultBytes));
  sandbox::ResultHeader header{};
  KRUX_TRY(result.memfd_.Read(0, std::span(reinterpret_cast<uint8_t*>(&header), sizeof(header))));
  if (header.magic != sandbox::kResultMagic || header.data_bytes != bytes ||
      bytes > result.memfd_.size() - sandbox::kResultDataOffset) {
    return Fail(ExitCode::kBadData, "result",
                "the result does not have the size that the gateway announced");
  }
  result.size_ = bytes;
  return result;
}

Result<void> ResultBytes::Read(uint64_t offset, std::span<uint8_t> out) const {
  if (offset > size_ || out.size() > size_ - offset) {
    return Fail(ExitCode::kInternal, "result", "read beyond the end of the result");
  }
  if (out.empty()) return {};
  return memfd_.Read(sandbox::kResultDataOffset + offset, out);
}

Result<std::string> ResultBytes::ReadAll() const {
  std::string all(size_, '\0');
  KRUX_TRY(Read(0, std::span(reinterpret_cast<uint8_t*>(all.data()), all.size())));
  return all;
}

Result<Client> Client::Connect(const GatewayPaths& paths, int timeout_ms) {
  return ConnectTo(paths, paths.gateway_socket, timeout_ms);
}

Result<Client> Client::ConnectAdmin(const GatewayPaths& paths, int timeout_ms) {
  return ConnectTo(paths, paths.admin_socket, timeout_ms);
}

Result<Client> Client::ConnectTo(const GatewayPaths& paths, const std::string& socket,
                                 int timeout_ms) {
  Channel channel = KRUX_TRY(Channel::Connect(socket, static_cast<int>(kConnectMs)));
  // SO_PEERCRED of a connected socket is who called listen(2): nobody else may play the gateway.
  const PeerCredentials server = KRUX_TRY(channel.Peer());
  if (server.uid != paths.owner) {
    return std::unexpected(Unreachable("`" + socket + "` is served by uid " +
                                       std::to_string(server.uid) + ", not by uid " +
                                       std::to_string(paths.owner) + "; do not use it"));
  }
  Client client = KRUX_TRY(Adopt(std::move(channel), timeout_ms));
  if (!paths.service) client.lock_ = paths.runtime_dir + "/gateway.lock";
  return client;
}

Result<Client> Client::Adopt(Channel channel, int timeout_ms) {
  Client client;
  client.channel_ = std::move(channel);
  client.timeout_ms_ = timeout_ms;
  const auto [value, packet] =
      KRUX_TRY(client.Ask(Encode(HelloRequest{}), {}, "hello", 0, timeout_ms));
  client.gateway_ = KRUX_TRY(DecodeHelloReply(value));
  if (client.gateway_.version != kProtocolVersion) {
    return std::unexpected(Unreachable("the gateway speaks version " +
                                       std::to_string(client.gateway_.version) +
                                       " of the protocol; run `krux gateway stop` to replace it"));
  }
  return client;
}

Result<std::pair<cbor::Value, Packet>> Client::Ask(std::span<const uint8_t> request,
                                                   std::span<const int> fds,
                                                   std::string_view expected, size_t max_fds,
                                                   int timeout_ms) {
  if (!channel_.valid()) return std::unexpected(Unreachable("not connected to a gateway"));
  const auto sent = channel_.Send(request, fds);
  // A gateway that is full or stopping says so before it closes: look for that before giving up.
  if (!sent && sent.error().sys_errno != EPIPE) return std::unexpected(NoAnswer(sent.error()));
  auto received = channel_.ReceiveWithin(timeout_ms, max_fds);
  if (!received) return std::unexpected(NoAnswer(received.error()));
  if (received->eof) {
    return std::unexpected(
        sent ? Unreachable("the gateway ended before it answered; ask again", kLost)
             : NotTaken(EPIPE));
  }
  cbor::Value value = KRUX_TRY(cbor::Decode(received->bytes));
  const std::string type = KRUX_TRY(MessageTypeOf(value));
  if (type == "error") {
    const ErrorReply error = KRUX_TRY(DecodeErrorReply(value));
    // 69 from the gateway itself: it is stopping and did nothing with the request.
    const int stopping = error.code == ExitCode::kUnreachable ? ESHUTDOWN : 0;
    return std::unexpected(Error{error.code, stopping, "gateway", error.message});
  }
  if (type != expected) {
    return Fail(ExitCode::kBadData, "gateway",
                "the gateway answered `" + Clip(type, 64) + "` out of turn");
  }
  return std::pair(std::move(value), std::move(*received));
}

Result<OpenReply> Client::Open(const WorkDir& work, std::string_view profile) {
  // The folder is queued in a socketpair of ours: whoever receives it at the other end reads our
  // uid from the socket itself, and nobody between can put another folder in its place.
  auto [mine, theirs] = KRUX_TRY(Channel::Pair());
  const uint8_t mark = 'w';
  const int work_fd[] = {work.fd.get()};
  KRUX_TRY(mine.Send(std::span(&mark, 1), work_fd));
  const int end[] = {theirs.fd()};
  const cbor::Bytes request = Encode(OpenRequest{.profile = std::string(profile)});
  const auto [value, packet] = KRUX_TRY(Ask(request, end, "opened", 0, static_cast<int>(kOpenMs)));
  OpenReply opened = KRUX_TRY(DecodeOpenReply(value));
  session_ = opened.session;
  // Ids of two clients of one session must not meet in the log; 52 bits are exact in JSON too.
  uint64_t first = 0;
  SystemRandom().Fill(std::span(reinterpret_cast<uint8_t*>(&first), sizeof(first)));
  last_id_ = first >> 12;
  return opened;
}

Result<Reply> Client::Call(std::string_view capability, cbor::Map args, const UniqueFd& input) {
  if (session_.empty()) return Fail(ExitCode::kUsage, "gateway", "no session; open one first");
  if (capability.size() > kMaxCapabilityBytes) {
    return Fail(ExitCode::kBadData, "gateway",
                "the name of the capability is longer than 256 bytes");
  }
  const CallRequest call{.id = ++last_id_,
                         .session = session_,
                         .capability = std::string(capability),
                         .args = std::move(args),
                         .profile = {}};
  const cbor::Bytes request = Encode(call);
  if (request.size() > kMaxPacket) {
    return Fail(ExitCode::kBadData, "gateway",
                "the arguments are larger than one message of 64 KiB; shorten them");
  }
  const int fd = input.get();
  const std::span<const int> fds(&fd, input.valid() ? 1 : 0);
  auto asked = Ask(request, fds, "result", 1, static_cast<int>(kCallMs));
  if (!asked) {
    if (WasLost(asked.error())) {
      asked.error().message =
          "the gateway ended before it answered this call; it may have run: `krux audit tail` "
          "shows how far it came";
    }
    return std::unexpected(std::move(asked.error()));
  }
  auto& [value, packet] = *asked;
  Reply reply;
  static_cast<CallReply&>(reply) = KRUX_TRY(DecodeCallReply(value));
  if (reply.id != call.id)
    return Fail(ExitCode::kBadData, "gateway", "the gateway answered another call");
  if (reply.bytes > 0) {
    if (packet.fds.empty())
      return Fail(ExitCode::kBadData, "gateway", "the gateway sent no result descriptor");
    reply.output = KRUX_TRY(ResultBytes::Accept(std::move(packet.fds[0]), reply.bytes));
  }
  return reply;
}

bool Client::EndsWithin(int timeout_ms) {
  const auto received = channel_.ReceiveWithin(timeout_ms, 0);
  return received ? received->eof : received.error().code != ExitCode::kTimeout;
}

Result<StatusReply> Client::Status() {
  const auto [value, packet] = KRUX_TRY(Ask(Encode(StatusRequest{}), {}, "status", 0, timeout_ms_));
  return DecodeStatusReply(value);
}

Result<uint64_t> Client::Checkpoint() {
  const auto [value, packet] =
      KRUX_TRY(Ask(Encode(CheckpointRequest{}), {}, "checkpoint", 0, timeout_ms_));
  return KRUX_TRY(DecodeCheckpointReply(value)).size;
}

Result<ReloadReply> Client::Reload() {
  const auto [value, packet] =
      KRUX_TRY(Ask(Encode(ReloadRequest{}), {}, "reloaded", 0, timeout_ms_));
  return DecodeReloadReply(value);
}

Result<std::vector<SessionInfo>> Client::Sessions() {
  std::vector<SessionInfo> all;
  SessionsRequest request;
  for (bool more = true; more;) {
    const auto [value, packet] = KRUX_TRY(Ask(Encode(request), {}, "sessions", 0, timeout_ms_));
    SessionsReply page = KRUX_TRY(DecodeSessionsReply(value));
    more = page.more && !page.sessions.empty();
    for (SessionInfo& info : page.sessions) all.push_back(std::move(info));
    if (more) request.after = all.back().session;
  }
  return all;
}

Result<void> Client::EndSession(const cbor::Bytes& session, const std::string& tty) {
  const auto [value, packet] =
      KRUX_TRY(Ask(Encode(EndSessionRequest{session, tty}), {}, "session_ended", 0, timeout_ms_));
  KRUX_TRY(DecodeEndSessionReply(value));
  return {};
}

Result<void> Client::Stop() {
  const auto [value, packet] = KRUX_TRY(Ask(Encode(StopRequest{}), {}, "stopping", 0, timeout_ms_));
  KRUX_TRY(DecodeStopReply(value));
  // kruxd closes the connection when it ends, the supervisor lets go of its lock after all the
  // others.
  auto end = channel_.ReceiveWithin(static_cast<int>(kStoppedMs), 0);
  if (end && !end->eof)
    return Fail(ExitCode::kBadData, "gateway", "the gateway goes on talking after `stopping`");
  const UniqueFd lock(lock_.empty() ? -1 : open(lock_.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  for (int waited = 0; lock.valid() && flock(lock.get(), LOCK_SH | LOCK_NB) != 0;
       waited += kPollMs) {
    if (waited > static_cast<int>(kStoppedMs))
      return std::unexpected(Unreachable("the gateway said it stops, but it still runs"));
    poll(nullptr, 0, kPollMs);
  }
  return {};
}

}  // namespace krux::gateway
