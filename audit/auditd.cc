#include "audit/auditd.h"

#include <poll.h>

#include <cerrno>

namespace krux::audit {

Auditd::Auditd(std::unique_ptr<Log> log, Channel channel, int lifeline, int stop,
               AuditdOptions options)
    : log_(std::move(log)),
      channel_(std::move(channel)),
      lifeline_(lifeline),
      stop_(stop),
      options_(options) {}

void Auditd::Answer(uint64_t tag, uint64_t seq, std::string error) {
  acks_.push_back(EncodeAck({tag, seq, std::move(error)}));
}

bool Auditd::SendAcks() {
  while (!acks_.empty()) {
    const Result<void> sent = channel_.Send(acks_.front());
    if (!sent) return sent.error().sys_errno == EAGAIN || sent.error().sys_errno == ENOBUFS;
    acks_.pop_front();
  }
  return true;
}

bool Auditd::Gather(std::vector<Received>* group) {
  while (group->size() < options_.group_limit) {
    const Result<Packet> packet = channel_.Receive(0);
    if (!packet && packet.error().sys_errno == EAGAIN) return true;
    // Too long, or with descriptors: the packet is gone, its framing is not.
    if (!packet && packet.error().sys_errno == 0) {
      group->push_back({0, std::unexpected(packet.error())});
      continue;
    }
    if (!packet || packet->eof) return false;
    uint64_t tag = 0;
    Result<Request> request = DecodeRequest(packet->bytes, &tag);
    group->push_back({tag, std::move(request)});
  }
  return true;
}

void Auditd::ServeAppends(std::vector<AppendRequest> appends) {
  if (appends.empty()) return;
  std::vector<Draft> drafts;
  for (AppendRequest& append : appends) drafts.push_back(std::move(append.draft));
  const std::vector<Appended> done = log_->Append(drafts);
  for (size_t i = 0; i < done.size(); ++i) Answer(appends[i].tag, done[i].seq, done[i].error);
}

// Acks keep the order of the requests: neighbouring appends are written together, anything else
// ends the run.
void Auditd::Serve(std::vector<Received> group) {
  std::vector<AppendRequest> appends;
  for (Received& received : group) {
    if (received.request && std::holds_alternative<AppendRequest>(*received.request)) {
      appends.push_back(std::move(std::get<AppendRequest>(*received.request)));
      continue;
    }
    ServeAppends(std::exchange(appends, {}));
    if (!received.request) {
      Answer(received.tag, 0, received.request.error().message);
    } else if (const auto* policy = std::get_if<PolicyRequest>(&*received.request)) {
      const Result<void> stored = log_->StorePolicy(policy->text);
      Answer(received.tag, 0, stored ? "" : stored.error().message);
    } else {
      const Result<uint64_t> size = log_->Checkpoint();
      Answer(received.tag, size ? *size : 0, size ? "" : size.error().message);
    }
  }
  ServeAppends(std::move(appends));
}

Result<void> Auditd::Run() {
  KRUX_TRY(channel_.SetNonBlocking(true));
  bool open = true;
  while (open) {
    // Nothing new is taken in while answers wait: what kruxd does not read cannot pile up here.
    const short wanted = acks_.empty() ? POLLIN : POLLOUT;
    pollfd fds[] = {{channel_.fd(), wanted, 0}, {lifeline_, POLLIN, 0}, {stop_, POLLIN, 0}};
    const bool idle_work = log_->signed_size() < log_->size();
    const int ready = poll(fds, 3, idle_work ? options_.idle_ms : -1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return SysError(ExitCode::kInternal, "poll", errno);
    if (ready == 0) {
      (void)log_->Checkpoint();  // not now: then at the next pause
      continue;
    }
    if (fds[1].revents != 0 || fds[2].revents != 0) open = false;
    if (fds[0].revents != 0 || !open) {
      std::vector<Received> group;
      if (acks_.empty() && !Gather(&group)) open = false;
      Serve(std::move(group));
      if (!SendAcks()) open = false;
    }
  }
  KRUX_TRY(log_->Checkpoint());
  return {};
}

}  // namespace krux::audit
