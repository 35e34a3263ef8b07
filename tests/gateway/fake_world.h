// FakeWorld: a whole Gateway in one process, with an auditd and a spawnd that do what the test says
// and a trace of everything that crossed their channels, in order.
//
//   FakeWorld world;
//   world.audit.hold_intents = true;
//   Client client = world.Connect();
//   ...
//   EXPECT_LT(world.IndexOf("ready"), world.IndexOf("go"));
//
// The gateway and both fakes run on one thread of their own; the test's thread is the client.
#pragma once

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "audit/carry.h"
#include "audit/message.h"
#include "gateway/client/client.h"
#include "gateway/gateway.h"
#include "sandbox/result.h"
#include "sandbox/spawn_wire.h"

namespace krux::gateway {

// Everything that happened, in order, for the thread of the test to wait on.
class Trace {
 public:
  void Add(std::string event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
  }
  // The place of the first `event` at or after `from`; waits up to five seconds. -1: it never came.
  int Await(const std::string& event, size_t from = 0) {
    std::unique_lock lock(mutex_);
    int found = -1;
    changed_.wait_for(lock, std::chrono::seconds(5),
                      [&] { return (found = Find(event, from)) >= 0; });
    return found;
  }
  int IndexOf(const std::string& event, size_t from = 0) {
    const std::lock_guard lock(mutex_);
    return Find(event, from);
  }
  int Count(const std::string& event) {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(std::count(events_.begin(), events_.end(), event));
  }
  size_t size() {
    const std::lock_guard lock(mutex_);
    return events_.size();
  }

 private:
  int Find(const std::string& event, size_t from) const {
    for (size_t i = from; i < events_.size(); ++i) {
      if (events_[i] == event) return static_cast<int>(i);
    }
    return -1;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
};

// krux-auditd as the test wants it. Every draft is judged by the real schema.
class FakeAuditd {
 public:
  FakeAuditd(EventLoop& loop, Trace& trace, Channel channel);
  std::atomic<bool> silent{false};        // takes everything, answers nothing
  std::atomic<bool> hold_intents{false};  // answers intents only after Release()
  std::atomic<bool> fail_intents{false};
  std::atomic<bool> fail_outcomes{false};
  std::atomic<bool> fail_denials{false};
  audit::Carry carry;  // what it answers to a restore
  // The acks held back so far go out; runs on the world's thread.
  void Release();
  void Die();
  // What was appended, by kind.
  std::vector<audit::Draft> Drafts(audit::Kind kind);

 private:
  void OnReadable();
  void Ack(uint64_t tag, uint64_t seq, const std::string& what, const std::string& error);
  Trace& trace_;
  Channel channel_;
  EventSource source_;
  uint64_t next_seq_ = 1;
  std::deque<std::function<void()>> held_;
  std::mutex mutex_;
  std::vector<audit::Draft> drafts_;
};

// krux-spawnd as the test wants it.
class FakeSpawnd {
 public:
  FakeSpawnd(EventLoop& loop, Trace& trace, Channel channel);
  std::atomic<uid_t> work_uid{getuid()};
  std::atomic<bool> refuse_work{false};
  std::atomic<bool> fail_template{false};
  std::atomic<bool> hold_template{false};  // answers only at ReleaseTemplates()
  std::atomic<bool> fail_spawn{false};     // Failed with layer "landlock"
  std::atomic<int> fail_errno{0};          // and this errno
  std::atomic<int> stale{0};               // so many spawns fail because masks are gone
  std::atomic<bool> lose_masks{false};     // a secret comes in sight after Go
  std::atomic<bool> hold_ready{false};
  std::atomic<bool> hold_done{false};
  std::atomic<bool> mute{false};  // takes everything, says nothing
  std::atomic<sandbox::Done::End> end{sandbox::Done::End::kExited};
  // Makes the result memfd of the next calls; default: ok, {"bytes": 5}, data "hello".
  std::function<UniqueFd()> make_result;
  // The calls held back by hold_done end; runs on the world's thread.
  void FinishHeld();
  void Die();
  // The templates held back so far are built; runs on the world's thread.
  void ReleaseTemplates();
  void ReleaseReady();  // the same for hold_ready
  // SHA-256 of the CBOR of the Spec that came last.
  cbor::Bytes LastSpecDigest();
  // What came with the Spec that came last; none: no descriptor.
  std::optional<std::string> LastInput();

 private:
  void OnReadable();
  void Handle(sandbox::wire::Request request);
  void KeepInput(const std::vector<UniqueFd>& fds);
  void Send(const sandbox::Event& event, int fd = -1);
  void Finish(const cbor::Bytes& call_id, sandbox::Done::End how);
  void Build(const sandbox::wire::BuildTemplate& build);
  void BeReady(const cbor::Bytes& call_id);
  std::vector<cbor::Bytes> held_ready_;
  // (session, generation, class), as the real one keeps them.
  using Key = std::tuple<cbor::Bytes, uint64_t, sandbox::WorkClass>;
  std::set<Key> built_;
  uint64_t last_tag_ = 0;  // of the template that was built last
  cbor::Bytes last_session_;
  std::deque<std::function<void()>> held_;
  Trace& trace_;
  Channel channel_;
  EventSource source_;
  std::deque<cbor::Bytes> held_done_;  // call ids
  std::mutex mutex_;
  cbor::Bytes spec_digest_;
  std::optional<std::string> input_;
};

// A result memfd: `header` and `meta` as given, `data` behind them, sealed or not.
UniqueFd MakeResult(const sandbox::ResultHeader& header, const cbor::Bytes& meta,
                    const std::string& data, bool sealed = true,
                    uint64_t size = sandbox::kResultDataOffset + (16u << 20));
UniqueFd GoodResult(ExitCode code = ExitCode::kOk, const std::string& data = "hello");

class FakeWorld {
 public:
  explicit FakeWorld(GatewaySettings settings = Quick());
  ~FakeWorld();
  // Deadlines short enough for a test.
  static GatewaySettings Quick();

  Client Connect();
  // A connected channel that has not said hello.
  Channel ConnectRaw(Door door = kAgentDoor);
  // Connected, with a session on a scratch directory.
  Client ConnectAndOpen(const std::string& profile = {});
  // Runs `f` on the thread of the gateway and waits for it.
  void OnLoop(std::function<void()> f);

  Trace trace;
  std::unique_ptr<FakeAuditd> audit;
  std::unique_ptr<FakeSpawnd> spawn;
  std::unique_ptr<Gateway> gateway;
  static constexpr const char* kWork = "/work-of-the-test";  // as the fake mountd resolves it

 private:
  std::optional<EventLoop> loop_;
  UniqueFd wake_;
  EventSource wake_source_;
  std::mutex mutex_;
  std::deque<std::function<void()>> posted_;
  std::thread thread_;
};

}  // namespace krux::gateway
