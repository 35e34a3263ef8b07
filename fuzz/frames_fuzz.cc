// Frames: every packet that one process of krux reads from another, and the result that a worker
// leaves behind. The first byte of the input chooses the reader. What was read and written again
// reads as the same: no field is lost, none is invented.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "audit/message.h"
#include "base/channel.h"
#include "fuzz/target.h"
#include "gateway/protocol.h"
#include "gateway/supervisor_message.h"
#include "gateway/worker_result.h"
#include "runtime/request.h"
#include "sandbox/mount_wire.h"
#include "sandbox/spawn_wire.h"

namespace krux {
namespace {

using View = std::span<const uint8_t>;

// `decode` after `encode` after `decode` gives the bytes of the first `encode`.
template <typename Decode, typename Encode>
void Steady(View bytes, Decode decode, Encode encode) {
  const auto first = decode(bytes);
  if (!first) return;
  const cbor::Bytes written = encode(*first);
  const auto second = decode(View(written));
  KRUX_HOLDS(second.has_value());
  KRUX_HOLDS(encode(*second) == written);
}

template <auto kDecode>
void Message(View bytes) {
  const auto decode = [](View packet) {
    auto value = cbor::Decode(packet);
    using Decoded = decltype(kDecode(*value));
    return value ? kDecode(*value) : Decoded(std::unexpected(std::move(value.error())));
  };
  Steady(bytes, decode, [](const auto& message) { return gateway::Encode(message); });
}

void AuditRequest(View bytes) {
  uint64_t tag = 0;
  (void)audit::DecodeRequest(bytes, &tag);
}

void AuditAck(View bytes) { Steady(bytes, audit::DecodeAck, audit::EncodeAck); }

void SpawnRequest(View bytes) {
  Steady(bytes, sandbox::wire::DecodeRequest, sandbox::wire::EncodeRequest);
}

// Without its descriptors: an event that must carry one is refused, never half taken.
void SpawnEvent(View bytes) {
  Packet packet;
  packet.bytes.assign(bytes.begin(), bytes.end());
  (void)sandbox::wire::DecodeEvent(std::move(packet));
}

void MountRequest(View bytes) {
  Steady(bytes, sandbox::mountwire::DecodeRequest, sandbox::mountwire::EncodeRequest);
}

void MountReply(View bytes) {
  Steady(bytes, sandbox::mountwire::DecodeReply, sandbox::mountwire::EncodeReply);
}

void Supervisor(View bytes) {
  Steady(bytes, gateway::DecodeSupervisorMessage,
         [](const gateway::SupervisorMessage& m) { return gateway::Encode(m); });
}

void WorkerRequest(View bytes) {
  const auto request = runtime::DecodeRequest(bytes);
  if (!request) return;
  const auto written = runtime::EncodeRequest(*request);
  if (written) KRUX_HOLDS(runtime::DecodeRequest(*written).has_value());
}

void WorkerAnswer(View bytes) {
  constexpr uint64_t kMaxData = 4096;
  UniqueFd fd(memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid() || pwrite(fd.get(), bytes.data(), bytes.size(), 0) < 0) return;
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) return;
  const auto result = gateway::ReadWorkerResult(std::move(fd), kMaxData);
  if (result) KRUX_HOLDS(result->bytes <= kMaxData && result->message.size() <= bytes.size());
}

constexpr void (*kReaders[])(View) = {
    Message<gateway::DecodeHelloRequest>,
    Message<gateway::DecodeHelloReply>,
    Message<gateway::DecodeOpenRequest>,
    Message<gateway::DecodeOpenReply>,
    Message<gateway::DecodeCallRequest>,
    Message<gateway::DecodeCallReply>,
    Message<gateway::DecodeStatusReply>,
    Message<gateway::DecodeCheckpointReply>,
    Message<gateway::DecodeErrorReply>,
    AuditRequest,
    AuditAck,
    SpawnRequest,
    SpawnEvent,
    MountRequest,
    MountReply,
    Supervisor,
    WorkerRequest,
    WorkerAnswer,
};

}  // namespace
}  // namespace krux

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1 || size > krux::cbor::kMaxItemBytes) return 0;
  krux::kReaders[data[0] % std::size(krux::kReaders)](krux::View(data + 1, size - 1));
  return 0;
}
