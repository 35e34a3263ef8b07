#include "audit/client.h"

#include <cerrno>

#include "audit/message.h"

namespace krux::audit {
namespace {

std::unexpected<Error> Gone(const Error& error) {
  return std::unexpected(
      Error{ExitCode::kAudit, error.sys_errno, "audit",
            "the log cannot be written: krux-auditd is gone (" + error.message + ")"});
}

}  // namespace

AuditClient::AuditClient(Channel channel) : channel_(std::move(channel)) {
  // Where this fails the socket blocks, which only costs time.
  (void)channel_.SetNonBlocking(true);
}

Result<void> AuditClient::Append(uint64_t tag, const Draft& draft) {
  return Queue(EncodeAppend(tag, draft));
}

Result<void> AuditClient::StorePolicy(uint64_t tag, std::span<const uint8_t> text) {
  return Queue(EncodePolicy(tag, text));
}

Result<void> AuditClient::Checkpoint(uint64_t tag) { return Queue(EncodeCheckpoint(tag)); }

Result<void> AuditClient::Restore(uint64_t tag, const cbor::Bytes& after) {
  return Queue(EncodeRestore(tag, after));
}

Result<void> AuditClient::Recall(uint64_t tag, const cbor::Bytes& hash) {
  return Queue(EncodeRecall(tag, hash));
}

Result<void> AuditClient::Queue(cbor::Bytes packet) {
  if (packet.size() > kMaxPacket) {
    return Fail(ExitCode::kBadData, "audit", "the record is larger than a packet of 64 KiB");
  }
  if (queue_.size() >= kMaxQueued) {
    return Fail(ExitCode::kBusy, "audit", "the log is behind by too many records; retry");
  }
  queue_.push_back(std::move(packet));
  return Flush();
}

Result<void> AuditClient::Flush() {
  while (!queue_.empty()) {
    const Result<void> sent = channel_.Send(queue_.front());
    if (!sent && (sent.error().sys_errno == EAGAIN || sent.error().sys_errno == ENOBUFS)) return {};
    if (!sent) return Gone(sent.error());
    queue_.pop_front();
  }
  return {};
}

Result<std::optional<Ack>> AuditClient::Next() {
  KRUX_TRY(Flush());
  Result<Packet> packet = channel_.Receive(0);
  if (!packet && packet.error().sys_errno == EAGAIN) return std::nullopt;
  if (!packet) return Gone(packet.error());
  if (packet->eof) return Gone(Error{ExitCode::kAudit, 0, "audit", "the channel is closed"});
  Result<Ack> ack = DecodeAck(packet->bytes);
  if (!ack) return Gone(ack.error());
  return std::move(*ack);
}

}  // namespace krux::audit
