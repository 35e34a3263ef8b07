// AuditClient: kruxd's side of the channel to krux-auditd. Appends are asynchronous; an Ack means
// that the record is durable (written and fdatasync'ed).
#pragma once

#include <optional>

#include "audit/record.h"
#include "base/channel.h"

namespace krux::audit {

struct Ack {
  uint64_t tag = 0;       // of the request
  uint64_t seq = 0;       // of the record that is now durable
  std::string error;      // not empty: the log cannot be written; nothing is durable
};

class AuditClient {
 public:
  explicit AuditClient(Channel channel);
  Result<void> Append(uint64_t tag, const Draft& draft);
  // Stores a policy text beside the log by its SHA-256; acknowledged with seq = 0.
  Result<void> StorePolicy(uint64_t tag, std::span<const uint8_t> text);
  // Asks for a signed checkpoint over everything durable now; acknowledged when it is durable.
  Result<void> Checkpoint(uint64_t tag);
  Result<std::optional<Ack>> Next();
  int fd() const { return channel_.fd(); }

 private:
  Channel channel_;
};

}  // namespace krux::audit
