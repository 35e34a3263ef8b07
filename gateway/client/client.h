// Client: the one door. The CLI, MCP, the SDK and the tests make their calls through it; it holds
// no policy. Blocking, one request at a time, one Client per thread.
//
//   Client client = KRUX_TRY(EnsureGateway(paths, {}));             // gateway/client/ensure.h
//   WorkDir work = KRUX_TRY(ChooseWork(std::nullopt));              // gateway/client/work_dir.h
//   OpenReply opened = KRUX_TRY(client.Open(work, "read_only"));
//   Reply reply = KRUX_TRY(client.Call("fs.read", {{"path", "/home/me/project/README.md"}}));
//   if (reply.code == ExitCode::kOk) write(1, reply.output…);
//
// An Error is "the gateway could not be asked" (69, 65, 78, …). Deny, ask and every failure of the
// call itself are Replies: their `code` is the exit code.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/channel.h"
#include "base/sealed_memfd.h"
#include "gateway/bounds.h"
#include "gateway/client/paths.h"
#include "gateway/client/work_dir.h"
#include "gateway/protocol.h"
#include "gateway/session_protocol.h"

namespace krux::gateway {

// A sealed memfd that holds `bytes`: what Client::Call takes as content. At most 16 MiB are served.
Result<UniqueFd> SealInput(std::span<const uint8_t> bytes);

// The bulk part of a result: a sealed memfd, read with pread(2), never mapped.
class ResultBytes {
 public:
  ResultBytes() = default;
  // Checks seals, size and header against `bytes` of the reply.
  static Result<ResultBytes> Accept(UniqueFd fd, uint64_t bytes);
  uint64_t size() const { return size_; }
  Result<void> Read(uint64_t offset, std::span<uint8_t> out) const;
  Result<std::string> ReadAll() const;

 private:
  SealedMemfd memfd_;
  uint64_t size_ = 0;
};

struct Reply : CallReply {
  ResultBytes output;  // e.g. the bytes of the file; stdout then stderr of a program
};

// The gateway ended, or is about to, and has not taken the request: asking again is safe.
bool WasNotTaken(const Error& error);
// The gateway took the request and ended without an answer. Of a call only the log can say what
// became of it, so nobody repeats it by himself.
bool WasLost(const Error& error);

class Client {
 public:
  Client() = default;
  // Connects and says hello. kUnreachable when nobody answers within `timeout_ms` or the socket is
  // served by a uid other than `paths.owner`.
  static Result<Client> Connect(const GatewayPaths& paths,
                                int timeout_ms = static_cast<int>(kAnswerMs));
  static Result<Client> ConnectAdmin(const GatewayPaths& paths,
                                     int timeout_ms = static_cast<int>(kAnswerMs));
  // Over a socket that is already connected (tests).
  static Result<Client> Adopt(Channel channel, int timeout_ms = static_cast<int>(kAnswerMs));

  const HelloReply& gateway() const { return gateway_; }

  // Opens (or joins) the session of (this uid, `work`, `profile`). An empty profile is read_only.
  Result<OpenReply> Open(const WorkDir& work, std::string_view profile = {});
  // One call in the session of the last Open. Waits until the gateway answers; the gateway's own
  // deadlines bound that. Where the gateway ends before, WasNotTaken or WasLost says which.
  // `input`: the content argument, as SealInput makes it; small content may stand in `args`
  // instead.
  Result<Reply> Call(std::string_view capability, cbor::Map args, const UniqueFd& input = {});
  Result<StatusReply> Status();
  // Asks for a signed checkpoint over everything that is durable now; returns the number of
  // records.
  Result<uint64_t> Checkpoint();
  // Admin only: the gateway reads the operator's policy files again. kConfig, with file, line and
  // column, where one of them is wrong: then nothing has changed.
  Result<ReloadReply> Reload();
  // Every session of this uid, at work or kept; admin: of every uid.
  Result<std::vector<SessionInfo>> Sessions();
  // Admin only: the session ends, and what is opened in its place begins clean. `tty` is recorded.
  Result<void> EndSession(const cbor::Bytes& session, const std::string& tty);
  // Admin only: the gateway ends its calls, signs and closes the log and exits. Returns when its
  // supervisor has let go of the runtime folder (up to 20 s).
  Result<void> Stop();

  // The id of the last Call: with the session it names the call in the log ("request" of the peer).
  uint64_t last_call() const { return last_id_; }
  // True when the gateway at the other end is gone within `timeout_ms`.
  bool EndsWithin(int timeout_ms);
  Channel& channel() { return channel_; }

 private:
  static Result<Client> ConnectTo(const GatewayPaths& paths, const std::string& socket,
                                  int timeout_ms);
  // Sends one request and receives its reply, at most `max_fds` descriptors with it. An end of the
  // gateway is kUnreachable with WasNotTaken or WasLost.
  Result<std::pair<cbor::Value, Packet>> Ask(std::span<const uint8_t> request,
                                             std::span<const int> fds, std::string_view expected,
                                             size_t max_fds, int timeout_ms);
  Channel channel_;
  HelloReply gateway_;
  cbor::Bytes session_;
  uint64_t last_id_ = 0;  // of a request `call`
  int timeout_ms_ = static_cast<int>(kAnswerMs);
  std::string lock_;  // of the supervisor, held as long as it lives
};

}  // namespace krux::gateway
