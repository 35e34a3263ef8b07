#include "gateway/session.h"

#include <algorithm>
#include <utility>

#include "audit/client.h"
#include "base/digest.h"
#include "gateway/lattice.h"
#include "runtime/plan.h"

namespace krux::gateway {

cbor::Bytes RandomId(Random& random) {
  cbor::Bytes id(16);
  random.Fill(id);
  return id;
}

std::shared_ptr<Session> SessionTable::Find(const SessionKey& key) const {
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : it->second;
}

std::shared_ptr<Session> SessionTable::Find(const cbor::Bytes& id, uid_t uid) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() || it->second->key.uid != uid ? nullptr : it->second;
}

Result<std::shared_ptr<Session>> SessionTable::Make(SessionKey key, Opening opening,
                                                    policy::Policy policy, cbor::Bytes id) {
  if (by_id_.size() >= max_sessions_) {
    return Fail(ExitCode::kBusy, "session",
                "there are " + std::to_string(by_id_.size()) +
                    " sessions already; `krux session new` ends one, a restart of the gateway "
                    "keeps them and makes room");
  }
  auto session = std::make_shared<Session>();
  session->id = id.empty() ? RandomId(random_) : std::move(id);
  session->key = std::move(key);
  session->work = opening.work;
  session->place = runtime::PlaceOf(session->work);
  session->policy_hash = Sha256(policy.text);
  session->state = policy::BeginState(policy, session->id, session->policy_hash, opening.opened_ms);
  session->policy = policy::ForWork(std::move(policy), session->work);
  session->opening = std::move(opening);
  session->opening.policy_hash = session->policy_hash;
  for (const auto& [other_id, other] : by_id_) {
    if (other->key.uid == session->key.uid && other->key.work_id == session->key.work_id)
      session->seen = other->seen;
  }
  if (session->seen == nullptr) session->seen = std::make_shared<Seen>();
  by_id_[session->id] = session;
  by_key_[session->key] = session;
  return session;
}

size_t SessionTable::CountOf(uid_t uid) const {
  return static_cast<size_t>(
      std::ranges::count_if(by_key_, [uid](const auto& entry) { return entry.first.uid == uid; }));
}

void SessionTable::Remove(const Session& session) {
  // Copies: `session` may be held by nothing but these maps.
  const cbor::Bytes id = session.id;
  const SessionKey key = session.key;
  by_key_.erase(key);
  by_id_.erase(id);
}

bool SessionTable::End(const cbor::Bytes& id) {
  if (kept_.erase(id) > 0) return true;
  const auto it = by_id_.find(id);
  if (it == by_id_.end()) return false;
  it->second->ended = true;
  Remove(*it->second);
  return true;
}

void SessionTable::JoinKept(Session& session) const {
  for (const auto& [id, kept] : kept_) {
    if (MayBeSameWork(kept.opening, session.opening)) Join(*session.seen, kept);
  }
}

cbor::Map StateLattice(const Session& session) {
  return StateLattice(session.state, session.opening.policy_epoch, session.locked);
}

Since SinceOf(const Session& session) {
  Since since;
  for (size_t bit = 0; bit < kLegs; ++bit) {
    if (session.seen->sources[bit].seq != 0) since[bit] = session.seen->sources[bit].seq;
  }
  return since;
}

void Join(Seen& seen, const KeptSession& kept) {
  seen.exposure |= static_cast<policy::Exposure>(NumberAt(kept.state, kExposureKey));
  for (const auto& [bit, seq] : kept.since) {
    if (bit >= kLegs) continue;
    uint64_t& known = seen.sources[bit].seq;
    known = known == 0 ? seq : std::min(known, seq);
  }
}

std::vector<KeptSession> SessionTable::TakeKept(const Opening& opening) {
  const auto exact = std::ranges::find_if(
      kept_, [&](const auto& entry) { return SamePlace(entry.second.opening, opening); });
  std::vector<KeptSession> taken;
  for (auto it = kept_.begin(); it != kept_.end();) {
    const auto next = std::next(it);
    const bool take =
        exact != kept_.end() ? it == exact : MayBeSamePlace(it->second.opening, opening);
    if (take) taken.push_back(std::move(kept_.extract(it).mapped()));
    it = next;
  }
  return taken;
}

Result<policy::Policy> EffectivePolicy(const policy::PolicySet& policies,
                                       const std::string& ceiling, const std::string& named) {
  const policy::Policy top = KRUX_TRY(policies.Find(ceiling));
  const policy::Policy profile = KRUX_TRY(policies.Find(named.empty() ? "read_only" : named));
  return policy::Meet(top, profile);
}

Result<void> CheckPolicies(const policy::PolicySet& policies, const std::string& ceiling) {
  const policy::Policy top = KRUX_TRY(policies.Find(ceiling));
  for (const std::string& name : policies.OperatorNames()) {
    const policy::Policy own = KRUX_TRY(policies.Find(name));
    KRUX_TRY(runtime::CheckRules(own));
    const policy::Policy met = policy::Meet(top, own);
    if (met.text.size() <= audit::kMaxPolicyBytes) continue;
    return Fail(ExitCode::kConfig, "policies",
                name + ".toml:1:1: with what it extends and the ceiling `" + ceiling +
                    "`, this policy is longer than 60 KiB; split it");
  }
  return {};
}

}  // namespace krux::gateway
