#include "gateway/audit_link.h"

#include <sys/epoll.h>

#include <utility>
#include <vector>

namespace krux::gateway {

AuditLink::AuditLink(EventLoop& loop, const Clock& clock, Channel channel, uint64_t deadline_ms)
    : loop_(loop),
      clock_(clock),
      client_(std::move(channel)),
      deadline_ns_(deadline_ms * 1'000'000) {}

Result<void> AuditLink::Start(std::function<void()> on_gone) {
  on_gone_ = std::move(on_gone);
  readable_ = KRUX_TRY(loop_.AddIo(client_.fd(), EPOLLIN, [this](uint32_t) { OnReadable(); }));
  readable_.GoFirst();  // before what clients say: an answer ends work, a packet begins it
  return {};
}

void AuditLink::Append(const audit::Draft& draft, Callback callback) {
  const uint64_t tag = next_tag_++;
  Expect(tag, client_.Append(tag, draft), std::move(callback));
}

void AuditLink::StorePolicy(std::span<const uint8_t> text, Callback callback) {
  const uint64_t tag = next_tag_++;
  Expect(tag, client_.StorePolicy(tag, text), std::move(callback));
}

void AuditLink::Checkpoint(Callback callback) {
  const uint64_t tag = next_tag_++;
  Expect(tag, client_.Checkpoint(tag), std::move(callback));
}

void AuditLink::Restore(const cbor::Bytes& after, Callback callback) {
  const uint64_t tag = next_tag_++;
  Expect(tag, client_.Restore(tag, after), std::move(callback));
}

void AuditLink::Recall(const cbor::Bytes& hash, Callback callback) {
  const uint64_t tag = next_tag_++;
  Expect(tag, client_.Recall(tag, hash), std::move(callback));
}

// The client queues what the socket does not take and sends it on when acks come in.
void AuditLink::Expect(uint64_t tag, Result<void> sent, Callback callback) {
  Pending& entry = pending_[tag];
  entry.asked_ns = clock_.MonotonicNs();
  entry.deadline_ns = entry.asked_ns + deadline_ns_;
  entry.callback = std::move(callback);
  if (sent && !gone_) return;
  // Not from here: the caller is in the middle of a stage and expects the answer as an event.
  entry.deadline_ns = 0;
  if (deferred_.active()) return;
  auto deferred = loop_.AddDefer([this] { FailDeferred(); });
  if (deferred) deferred_ = std::move(*deferred);
}

void AuditLink::FailDeferred() {
  deferred_.Reset();
  std::vector<Callback> failed;
  for (auto it = pending_.begin(); it != pending_.end();) {
    if (it->second.deadline_ns == 0) {
      failed.push_back(std::move(it->second.callback));
      it = pending_.erase(it);
    } else {
      ++it;
    }
  }
  for (const Callback& answer : failed) {
    answer({Appended::What::kFailed,
            0,
            gone_ ? "krux-auditd is gone" : "krux-auditd does not take the record",
            {}});
  }
}

void AuditLink::OnReadable() {
  while (!gone_) {
    auto ack = client_.Next();
    if (!ack) {
      gone_ = true;
      readable_.Reset();
      FailAll("krux-auditd is gone");
      if (on_gone_) on_gone_();
      return;
    }
    if (!ack->has_value()) return;
    OnAck(**ack);
  }
}

void AuditLink::OnAck(const audit::Ack& ack) {
  heard_ = true;
  const auto it = pending_.find(ack.tag);
  if (it == pending_.end()) return;
  const bool late = it->second.silent;
  const Callback callback = std::move(it->second.callback);
  pending_.erase(it);
  if (late) --silent_;
  Appended answer{Appended::What::kDurable, ack.seq, ack.error, ack.data};
  if (!ack.error.empty()) answer.what = Appended::What::kFailed;
  if (late) answer.what = Appended::What::kLate;
  callback(answer);
}

void AuditLink::Expire() {
  const uint64_t now = clock_.MonotonicNs();
  std::vector<Callback> overdue;
  for (auto& [tag, entry] : pending_) {
    if (entry.silent || entry.deadline_ns == 0) continue;
    if (entry.deadline_ns > now) break;  // tags are in the order of their deadlines
    entry.silent = true;
    ++silent_;
    overdue.push_back(entry.callback);
  }
  for (const Callback& callback : overdue) {
    callback({Appended::What::kSilent, 0, "krux-auditd did not answer in time", {}});
  }
}

void AuditLink::FailAll(const std::string& why) {
  const std::map<uint64_t, Pending> all = std::exchange(pending_, {});
  silent_ = 0;
  for (const auto& [tag, entry] : all) {
    entry.callback({entry.silent ? Appended::What::kLate : Appended::What::kFailed, 0, why, {}});
  }
}

}  // namespace krux::gateway
