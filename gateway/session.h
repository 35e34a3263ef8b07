// Session: one agent's run in one WORK with one policy. Its authority only falls, its exposure only
// rises; both are in `state`, and only the pipeline moves it on, from Decision::next.
//
//   SessionTable sessions(random, limits);
//   auto session = KRUX_TRY(sessions.FindOrMake(key, opened.path, policy));
//   Session* found = sessions.Find(id, peer_uid);
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "gateway/kept_session.h"
#include "policy/policy_set.h"
#include "policy/policy_state.h"
#include "runtime/labels.h"
#include "sandbox/spec.h"

namespace krux::gateway {

// Who works where under which profile. `work_id` is mountd's name for (uid, device, inode, mount).
struct SessionKey {
  uid_t uid = 0;
  uint64_t work_id = 0;
  std::string profile;
  auto operator<=>(const SessionKey&) const = default;
};

// The mount tree of one work class, built at the first call that needs it.
struct TemplateSlot {
  enum class State : uint8_t { kAbsent, kBuilding, kBuilt };
  State state = State::kAbsent;
  uint64_t tag = 0;                  // of the BuildTemplate under way
  std::vector<cbor::Bytes> waiting;  // call ids that go on when it is built
};

// What first brought a leg of exposure into a session.
struct LegSource {
  cbor::Bytes call;        // id; empty where only its record is known
  uint64_t seq = 0;        // of its intent, once that is durable
  std::string capability;  // empty where only its record is known
};
inline constexpr size_t kLegs = 3;

// What all sessions of one user in one WORK have seen together. A client chooses the profile of a
// call, so that what one of them brings must count for all: otherwise the next profile would be a
// clean one.
struct Seen {
  policy::Exposure exposure = 0;
  LegSource sources[kLegs];  // by bit of policy::Exposure
};

struct Session {
  cbor::Bytes id;  // 16 random bytes
  SessionKey key;
  std::string work;         // host path
  runtime::Place place;     // of `work`, for labels
  policy::Policy policy;    // ceiling met with the profile, bound to WORK
  cbor::Bytes policy_hash;  // SHA-256 of policy.text, under which the log keeps the text
  uint64_t generation = 1;  // of the policy: a change makes every template stale
  Opening opening;          // as recorded
  policy::State state;
  std::vector<std::string> endorsed;              // values that the operator gave it
  std::shared_ptr<Seen> seen;                     // never null
  TemplateSlot templates[sandbox::kWorkClasses];  // by sandbox::WorkClass
  // Those of former generations that are still being built, for calls that were decided then.
  std::vector<TemplateSlot> retired;
  bool unrecorded = false;  // its opening could not be logged: no call may run
  bool locked = false;      // locked down: it only reads any more
  bool ended = false;       // no call may begin any more
  // Why no call may begin under its profile, until another reload says otherwise; empty: it may.
  std::string closed;
  bool outgrown = false;  // closed for good: its policy is a longer story than the log takes
};

// A session as its records have it: what docs/AUDIT_FORMAT.md calls its state, and which record
// brought which leg, as far as that is durable.
cbor::Map StateLattice(const Session& session);
Since SinceOf(const Session& session);

// What a session of before had seen, and by which records.
void Join(Seen& seen, const KeptSession& kept);

class SessionTable {
 public:
  SessionTable(Random& random, size_t max_sessions)
      : random_(random), max_sessions_(max_sessions) {}

  // The session of `key`, or null.
  std::shared_ptr<Session> Find(const SessionKey& key) const;
  // The session called `id`, if `uid` is the one that opened it; a stranger's id is no session.
  std::shared_ptr<Session> Find(const cbor::Bytes& id, uid_t uid) const;
  // A session at work, under `policy` (not bound to its WORK yet) and called `id` (empty: a new
  // one); kBusy when there are too many.
  Result<std::shared_ptr<Session>> Make(SessionKey key, Opening opening, policy::Policy policy,
                                        cbor::Bytes id = {});
  void Remove(const Session& session);
  // No call of it may begin any more, and nothing goes on with it; false: there is none.
  bool End(const cbor::Bytes& id);

  // Sessions that nobody opened since the gateway started.
  void Keep(KeptSession kept) { kept_.insert_or_assign(kept.id, std::move(kept)); }
  const std::map<cbor::Bytes, KeptSession>& kept() const { return kept_; }
  // Those that the opening goes on with: the one of exactly this place, else all that may be.
  std::vector<KeptSession> TakeKept(const Opening& opening);

  // Joins into what `session` has seen what those of its user in its WORK had that nobody opened
  // since the gateway started.
  void JoinKept(Session& session) const;

  size_t size() const { return by_id_.size(); }
  size_t CountOf(uid_t uid) const;
  const std::map<cbor::Bytes, std::shared_ptr<Session>>& all() const { return by_id_; }

 private:
  Random& random_;
  size_t max_sessions_;
  std::map<cbor::Bytes, std::shared_ptr<Session>> by_id_;
  std::map<SessionKey, std::shared_ptr<Session>> by_key_;
  std::map<cbor::Bytes, KeptSession> kept_;
};

// The profile that a session runs under: `named` (empty = read_only) met with the ceiling, so that
// a client can narrow and never choose. kConfig for an unknown name. Not bound to a WORK yet
// (policy::ForWork).
Result<policy::Policy> EffectivePolicy(const policy::PolicySet& policies,
                                       const std::string& ceiling, const std::string& named);

// Whether sessions can run under `policies`: the ceiling is among them, and what each comes to
// under it has a text that the log takes.
Result<void> CheckPolicies(const policy::PolicySet& policies, const std::string& ceiling);

// 16 bytes, for calls and sessions.
cbor::Bytes RandomId(Random& random);

}  // namespace krux::gateway
