// AuditClient: kruxd's side of the channel to krux-auditd. Appends are asynchronous; an Ack means
// that the record is durable (written and fdatasync'ed).
//
//   AuditClient audit(std::move(channel));
//   KRUX_TRY(audit.Append(tag, ToDraft(intent)));
//   // when audit.fd() is readable, or writable while audit.WantsWrite():
//   KRUX_TRY(audit.Flush());
//   while (std::optional<Ack> ack = KRUX_TRY(audit.Next())) { ... }
//
// Nothing here blocks, so a stopped krux-auditd cannot stop kruxd: what the socket does not take
// waits in a bounded queue, and the caller keeps the deadline. Acks come in the order of the
// requests.
#pragma once

#include <deque>
#include <optional>

#include "audit/record.h"
#include "base/channel.h"

namespace krux::audit {

inline constexpr size_t kMaxPolicyBytes = 60 * 1024;  // of one stored text: it must fit one packet

struct Ack {
  uint64_t tag = 0;   // of the request; 0 answers a packet whose tag could not be read
  uint64_t seq = 0;   // of the record that is now durable; of a checkpoint: the signed size
  std::string error;  // not empty: the log cannot be written; nothing is durable
  // Of a restore: [* [id, details]], and `seq` more follow. Of a recall: the text. Else null.
  cbor::Value data = {};
};

class AuditClient {
 public:
  static constexpr size_t kMaxQueued = 1024;  // packets that wait for the socket

  explicit AuditClient(Channel channel);
  // kBadData where the draft does not fit one packet, kBusy where the queue is full, kAudit where
  // krux-auditd is gone.
  Result<void> Append(uint64_t tag, const Draft& draft);
  // Stores a policy text beside the log by its SHA-256; acknowledged with seq = 0.
  Result<void> StorePolicy(uint64_t tag, std::span<const uint8_t> text);
  // Asks for a signed checkpoint over everything durable now; acknowledged when it is durable.
  Result<void> Checkpoint(uint64_t tag);
  // What was carried over from before this start, after the id `after` (empty: from the first).
  Result<void> Restore(uint64_t tag, const cbor::Bytes& after);
  // The policy text that was stored under its SHA-256.
  Result<void> Recall(uint64_t tag, const cbor::Bytes& hash);
  // The next ack, or nothing where none is there yet. kAudit where krux-auditd is gone.
  Result<std::optional<Ack>> Next();
  // Sends what waits, as far as the socket takes it. Next() does it too.
  Result<void> Flush();
  bool WantsWrite() const { return !queue_.empty(); }
  int fd() const { return channel_.fd(); }

 private:
  Result<void> Queue(cbor::Bytes packet);
  Channel channel_;
  std::deque<cbor::Bytes> queue_;
};

}  // namespace krux::audit
