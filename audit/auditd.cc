#include "audit/auditd.h"

#include <poll.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.h"

namespace krux::audit {
namespace {

constexpr uint64_t kMostLingerNs = 500'000;

}  // namespace

Auditd::Auditd(std::unique_ptr<Log> log, Channel channel, int lifeline, int stop,
               AuditdOptions options)
    : log_(std::move(log)),
      channel_(std::move(channel)),
      lifeline_(lifeline),
      stop_(stop),
      options_(options) {}

void Auditd::Answer(uint64_t tag, uint64_t seq, std::string error) {
  acks_.push_back(EncodeAck({tag, seq, std::move(error), {}}));
}

bool Auditd::SendAcks() {
  while (!acks_.empty()) {
    const Result<void> sent = channel_.Send(acks_.front());
    if (!sent) return sent.error().sys_errno == EAGAIN || sent.error().sys_errno == ENOBUFS;
    acks_.pop_front();
  }
  return true;
}

// Callers that were just answered come back while others still wait: together they cost one wait
// for the disk, apart two. An eighth of that wait is spent on them, and nothing on a caller who is
// alone.
bool Auditd::Linger(uint64_t begin, size_t gathered, size_t expected) {
  if (expected < 3 || gathered >= expected || gathered == 0) return false;
  const uint64_t end = begin + std::min(last_write_ns_ / 8, kMostLingerNs);
  const uint64_t now = SystemClock().MonotonicNs();
  if (now >= end) return false;
  pollfd fd{channel_.fd(), POLLIN, 0};
  const timespec left{0, static_cast<long>(end - now)};
  return ppoll(&fd, 1, &left, nullptr) > 0;
}

bool Auditd::Gather(std::vector<Received>* group) {
  uint64_t begin = 0;
  size_t at_first = 0;  // what had gathered while the disk worked
  while (group->size() < options_.group_limit) {
    const Result<Packet> packet = channel_.Receive(0);
    if (!packet && packet.error().sys_errno == EAGAIN) {
      if (at_first == 0) {
        at_first = group->size();
        begin = SystemClock().MonotonicNs();
      }
      if (Linger(begin, group->size(), last_group_ + at_first)) continue;
      return true;
    }
    // kruxd ended without having read its acks. The kernel says so once, before it hands over what
    // kruxd had sent until then.
    if (!packet && packet.error().sys_errno == ECONNRESET && !std::exchange(reset_, true)) continue;
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
  const uint64_t begin = SystemClock().MonotonicNs();
  const std::vector<Appended> done = log_->Append(drafts);
  last_write_ns_ = SystemClock().MonotonicNs() - begin;
  last_group_ = done.size();
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
    } else {
      ServeQuestion(*received.request);
    }
  }
  ServeAppends(std::move(appends));
}

void Auditd::ServeQuestion(const Request& request) {
  if (const auto* policy = std::get_if<PolicyRequest>(&request)) {
    const Result<void> stored = log_->StorePolicy(policy->text);
    Answer(policy->tag, 0, stored ? "" : stored.error().message);
  } else if (const auto* restore = std::get_if<RestoreRequest>(&request)) {
    Ack ack{restore->tag, 0, {}, {}};
    ack.data = log_->carry().Page(restore->after, kMaxPageBytes, &ack.seq);
    acks_.push_back(EncodeAck(ack));
  } else if (const auto* recall = std::get_if<RecallRequest>(&request)) {
    Result<cbor::Bytes> text = log_->FindPolicy(recall->hash);
    Ack ack{recall->tag, 0, text ? "" : text.error().message, {}};
    if (text) ack.data = std::move(*text);
    acks_.push_back(EncodeAck(ack));
  } else if (const auto* checkpoint = std::get_if<CheckpointRequest>(&request)) {
    const Result<uint64_t> size = log_->Checkpoint();
    Answer(checkpoint->tag, size ? *size : 0, size ? "" : size.error().message);
  }
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
