#include "gateway/session.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"

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

Result<std::shared_ptr<Session>> SessionTable::Make(SessionKey key, std::string work,
                                                    policy::Policy policy, uint64_t opened_ms) {
  if (by_id_.size() >= max_sessions_) {
    return Fail(ExitCode::kBusy, "session",
                "there are " + std::to_string(by_id_.size()) +
                    " sessions already; restart the gateway to end them");
  }
  auto session = std::make_shared<Session>();
  session->id = RandomId(random_);
  session->key = std::move(key);
  session->work = std::move(work);
  session->policy_hash = Sha256(policy.text);
  session->state = policy::BeginState(policy, session->id, session->policy_hash, opened_ms);
  session->policy = std::move(policy);
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

Result<policy::Policy> EffectivePolicy(const std::string& ceiling, const std::string& named,
                                       const std::string& work) {
  const policy::Policy top = KRUX_TRY(policy::FindProfile(ceiling));
  const policy::Policy profile = KRUX_TRY(policy::FindProfile(named.empty() ? "read_only" : named));
  return policy::ForWork(policy::Meet(top, profile), work);
}

}  // namespace krux::gateway
