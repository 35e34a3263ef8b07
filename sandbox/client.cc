#include "sandbox/client.h"

#include <cerrno>

#include "base/pidfd.h"
#include "sandbox/spawn_wire.h"

namespace krux::sandbox {

SpawnClient::SpawnClient(Channel channel) : channel_(std::move(channel)) {}

Result<void> SpawnClient::OpenWork(uint64_t tag, UniqueFd work_socket) {
  const int fds[] = {work_socket.get()};
  return channel_.Send(wire::EncodeRequest(wire::OpenWork{tag}), fds);
}

Result<void> SpawnClient::BuildTemplate(uint64_t tag, const TemplateSpec& spec, uint64_t work_id) {
  return channel_.Send(wire::EncodeRequest(wire::BuildTemplate{tag, work_id, spec}));
}

Result<void> SpawnClient::DropTemplates(const cbor::Bytes& session_id, uint64_t generation) {
  return channel_.Send(wire::EncodeRequest(wire::DropTemplates{session_id, generation}));
}

Result<void> SpawnClient::Spawn(const Spec& spec, int input) {
  return channel_.Send(wire::EncodeRequest(wire::SpawnCall{spec}),
                       std::span(&input, input >= 0 ? 1 : 0));
}

Result<void> SpawnClient::Go(const cbor::Bytes& call_id) {
  return channel_.Send(wire::EncodeRequest(wire::GoCall{call_id}));
}

Result<void> SpawnClient::Cancel(const cbor::Bytes& call_id) {
  return channel_.Send(wire::EncodeRequest(wire::CancelCall{call_id}));
}

Result<std::optional<Event>> SpawnClient::Next() {
  Result<Packet> packet = channel_.Receive();
  if (!packet) {
    if (packet.error().sys_errno == EAGAIN) return std::nullopt;
    return std::unexpected(std::move(packet.error()));
  }
  if (packet->eof) return Fail(ExitCode::kUnreachable, "spawnd", "krux-spawnd is gone");
  Event event = KRUX_TRY(wire::DecodeEvent(std::move(*packet)));
  if (auto* ready = std::get_if<Ready>(&event)) {
    // spawnd lives in its own pid namespace; only this side can name the worker's pid on the host.
    Pidfd pidfd(std::move(ready->pidfd));
    if (const Result<pid_t> pid = pidfd.Pid(); pid && *pid > 0) {
      ready->receipt["pid"] = {cbor::Value(static_cast<uint64_t>(*pid)), Evidence::kKernel};
    }
    ready->pidfd = pidfd.TakeFd();
  }
  return std::optional<Event>(std::move(event));
}

}  // namespace krux::sandbox
