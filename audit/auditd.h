// Auditd: serves one channel of kruxd with one log. Every packet that waits is one group: all
// records of it go out with one write and one fdatasync, and while the disk works the next group
// gathers in the socket. A log that cannot be written is answered with an error in the ack, never
// by dying.
//
//   Auditd daemon(std::move(log), std::move(channel), lifeline_fd, {});
//   int status = KRUX_TRY(daemon.Run());
#pragma once

#include <deque>

#include "audit/log.h"
#include "audit/message.h"
#include "base/channel.h"

namespace krux::audit {

struct AuditdOptions {
  int idle_ms = 100;          // without a record for so long, what is unsigned gets signed
  size_t group_limit = 1024;  // packets in one group
};

class Auditd {
 public:
  // `lifeline` and `stop` are not owned: the first ends the daemon at EOF, the second when it
  // becomes readable (a signalfd); -1 where there is none.
  Auditd(std::unique_ptr<Log> log, Channel channel, int lifeline, int stop, AuditdOptions options);

  // Until the channel or the lifeline ends, or `stop` is readable. What was received is written and
  // a checkpoint over it signed before it returns.
  Result<void> Run();

 private:
  struct Received {
    uint64_t tag;
    Result<Request> request;
  };

  bool Gather(std::vector<Received>* group);  // false at the end of the channel
  bool Linger(uint64_t begin, size_t gathered, size_t expected);
  void Serve(std::vector<Received> group);
  void ServeQuestion(const Request& request);
  void ServeAppends(std::vector<AppendRequest> appends);
  void Answer(uint64_t tag, uint64_t seq, std::string error);
  bool SendAcks();  // false when the peer is gone

  std::unique_ptr<Log> log_;
  Channel channel_;
  int lifeline_;
  int stop_;
  AuditdOptions options_;
  std::deque<cbor::Bytes> acks_;
  size_t last_group_ = 0;       // records of the last write
  uint64_t last_write_ns_ = 0;  // how long it took
  bool reset_ = false;          // the channel was reset by its other end
};

}  // namespace krux::audit
