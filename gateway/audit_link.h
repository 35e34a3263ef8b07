// AuditLink: kruxd's hold on krux-auditd. Every append is answered: durable, failed, or — when the
// deadline passes first — silent, and perhaps late after that.
//
//   link.Append(ToDraft(intent), [this, id](const Appended& a) { OnIntentRecorded(id, a); });
//
// The log failing is never an exception: it is the answer kFailed, and the call ends with 74.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "audit/client.h"
#include "base/clock.h"
#include "base/event_loop.h"

namespace krux::gateway {

struct Appended {
  enum class What : uint8_t {
    kDurable,  // `seq` is on disk
    kFailed,   // nothing is durable, and never will be
    kSilent,   // no answer within the deadline; kLate may follow
    kLate,     // it became durable (or failed, see `error`) after kSilent
  };
  What what = What::kFailed;
  uint64_t seq = 0;
  std::string error;
  cbor::Value data = {};  // the answer to Restore and Recall
};
// Silence is no verdict: the record may still become durable, and until then every record behind it
// is silent as well.
inline bool NeverDurable(const Appended& appended) {
  return appended.what != Appended::What::kSilent && !appended.error.empty();
}

class AuditLink {
 public:
  using Callback = std::function<void(const Appended&)>;
  // `deadline_ms`: how long an append may take before it counts as silent.
  AuditLink(EventLoop& loop, const Clock& clock, Channel channel, uint64_t deadline_ms);
  AuditLink(const AuditLink&) = delete;
  AuditLink& operator=(const AuditLink&) = delete;
  // Begins to listen. `on_gone` runs once, after every pending append was answered kFailed.
  Result<void> Start(std::function<void()> on_gone);

  // The callback runs once with kDurable, kFailed or kSilent, never before Append returned; after
  // kSilent it may run once more with kLate.
  void Append(const audit::Draft& draft, Callback callback);
  void StorePolicy(std::span<const uint8_t> text, Callback callback);
  void Checkpoint(Callback callback);
  void Restore(const cbor::Bytes& after, Callback callback);
  void Recall(const cbor::Bytes& hash, Callback callback);

  // Answers kSilent to whatever is over its deadline. Called from kruxd's tick.
  void Expire();
  bool gone() const { return gone_; }
  // True while some append is over its deadline.
  bool silent() const { return silent_ > 0; }
  size_t pending() const { return pending_.size(); }
  // When the oldest question without an answer was asked. 0: there is none, or krux-auditd has not
  // answered anything yet; to open a log that was torn may take its time.
  uint64_t oldest_ns() const {
    return pending_.empty() || !heard_ ? 0 : pending_.begin()->second.asked_ns;
  }

 private:
  struct Pending {
    uint64_t asked_ns = 0;
    uint64_t deadline_ns = 0;
    bool silent = false;
    Callback callback;
  };
  void Expect(uint64_t tag, Result<void> sent, Callback callback);
  void FailDeferred();
  void OnReadable();
  void OnAck(const audit::Ack& ack);
  void FailAll(const std::string& why);

  EventLoop& loop_;
  const Clock& clock_;
  audit::AuditClient client_;
  uint64_t deadline_ns_;
  uint64_t next_tag_ = 1;
  std::map<uint64_t, Pending> pending_;  // by tag, which is also the order of deadlines
  size_t silent_ = 0;
  bool gone_ = false;
  bool heard_ = false;
  std::function<void()> on_gone_;
  EventSource readable_;
  EventSource deferred_;
};

}  // namespace krux::gateway
