// New policies for a gateway that runs: all of them come into force, or none. A session follows its
// profile downwards only.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/log.h"
#include "gateway/bounds.h"
#include "gateway/gateway.h"
#include "gateway/lattice.h"

namespace krux::gateway {
namespace {

constexpr uint64_t kNsPerMs = 1'000'000;
constexpr size_t kMaxReason = 512;  // bytes of a refusal in the record
constexpr const char* kUnchanged = "; nothing has changed, the former policies stay in force";

cbor::Array FilesInRecord(const std::vector<policy::PolicySource>& files) {
  cbor::Array list;
  for (const policy::PolicySource& file : files)
    list.push_back(cbor::Array{file.file, Sha256(file.text)});
  return list;
}

// Of all that names mean: the operator's files, the shipped profiles and the ceiling.
cbor::Bytes DigestOf(const policy::PolicySet& policies, const std::string& ceiling) {
  cbor::Array shipped;
  for (const std::string_view name : policy::ProfileNames())
    shipped.push_back(cbor::Array{name, Sha256(policy::ProfileText(name))});
  return Sha256(cbor::Encode(cbor::Array{FilesInRecord(policies.files()), shipped, ceiling}));
}

}  // namespace

void Gateway::OnReload(Connection& connection, const cbor::Value& value, Packet&) {
  if (const auto request = DecodeReloadRequest(value); !request)
    return ReplyError(connection, request.error());
  const uint64_t tag = next_reload_++;
  reloads_[tag] = {connection.id(), clock_.MonotonicNs() + kReloadMs * kNsPerMs};
  ++connection.outstanding;
  if (reports_.on_reload && reports_.on_reload(tag)) return;
  reloads_.erase(tag);
  AnswerReload(connection.id(),
               Encode(ErrorReply{ExitCode::kUnreachable,
                                 "this gateway has nobody who could read the policy files"}));
}

void Gateway::AnswerReload(uint64_t id, const cbor::Bytes& packet) {
  Connection* connection = Find(id);
  if (connection == nullptr || connection->gone()) return;
  if (connection->outstanding > 0) --connection->outstanding;
  Reply(*connection, packet);
  if (connection->paused() && MayRead(*connection)) connection->Resume();
}

// An answer that comes later is not taken: its operator was told that nothing changes.
void Gateway::ExpireReloads(uint64_t now_ns) {
  while (!reloads_.empty() && reloads_.begin()->second.deadline_ns <= now_ns) {
    const uint64_t asker = reloads_.begin()->second.connection;
    reloads_.erase(reloads_.begin());
    AnswerReload(asker,
                 Encode(ErrorReply{ExitCode::kUnreachable,
                                   std::string("the supervisor does not answer") + kUnchanged}));
  }
}

Result<uint64_t> Gateway::Reload(uint64_t tag, Result<std::vector<policy::PolicySource>> files) {
  uint64_t asker = 0;
  if (tag != 0) {
    const auto it = reloads_.find(tag);
    if (it == reloads_.end()) return Fail(ExitCode::kTimeout, "reload", "it came too late");
    asker = it->second.connection;
    reloads_.erase(it);
  }
  Result<uint64_t> epoch = files ? TakePolicies(*files, asker) : std::unexpected(files.error());
  ArmTick();
  if (epoch) return epoch;
  Log(LogLevel::kError, "kruxd", "policies refused: " + epoch.error().message);
  // Whoever asked hears it at once: nothing happened that a record would have to come before.
  audit_.Append(audit::AdminDraft("policies refused",
                                  cbor::Map{{"epoch", pipeline_.policy_epoch()},
                                            {"reason", Clip(epoch.error().message, kMaxReason)}}),
                [](const Appended&) {});
  AnswerReload(asker, Encode(ErrorReply{epoch.error().code, epoch.error().message + kUnchanged}));
  return epoch;
}

// Parsed in full before anything is touched. The record goes out before the first decision under
// the new policies can, and the log keeps that order.
Result<uint64_t> Gateway::TakePolicies(const std::vector<policy::PolicySource>& files,
                                       uint64_t asker) {
  if (stopping_ != Stopping::kNo)
    return Fail(ExitCode::kUnreachable, "reload", "the gateway is stopping");
  policy::PolicySet policies = KRUX_TRY(policy::PolicySet::Parse(files));
  KRUX_TRY(CheckPolicies(policies, settings_.ceiling));
  settings_.policies = std::move(policies);
  pipeline_.SetPolicyEpoch(pipeline_.policy_epoch() + 1);
  const auto answer = std::make_shared<ReloadReply>();
  const cbor::Map details{{"policies", PoliciesInRecord()},
                          {"files", FilesInRecord(settings_.policies.files())}};
  audit_.Append(audit::AdminDraft("policies reloaded", details),
                [this, asker, answer](const Appended& appended) {
                  if (appended.what == Appended::What::kLate) return;
                  if (appended.what == Appended::What::kDurable)
                    return AnswerReload(asker, Encode(*answer));
                  const std::string why =
                      "the policies are in force, but the log does not say so: " + appended.error;
                  Log(LogLevel::kError, "kruxd", why);
                  AnswerReload(asker, Encode(ErrorReply{ExitCode::kAudit, why}));
                });
  *answer = FollowPolicies();
  return pipeline_.policy_epoch();
}

// The epoch never falls, whatever was restarted in between, and rises where the policies are others
// than they were.
void Gateway::BeginEpoch(uint64_t last, const cbor::Bytes& last_policies) {
  if (last == 0) return;
  const bool same = last_policies == DigestOf(settings_.policies, settings_.ceiling);
  pipeline_.SetPolicyEpoch(std::max(pipeline_.policy_epoch(), same ? last : last + 1));
}

cbor::Map Gateway::PoliciesInRecord() const {
  return cbor::Map{{"epoch", pipeline_.policy_epoch()},
                   {"digest", DigestOf(settings_.policies, settings_.ceiling)}};
}

ReloadReply Gateway::FollowPolicies() {
  ReloadReply reply{.epoch = pipeline_.policy_epoch(),
                    .policies = settings_.policies.OperatorNames()};
  std::map<std::string, Result<policy::Policy>> meaning;  // of each profile, once
  for (const auto& [id, session] : sessions_.all()) {
    const std::string& profile = session->key.profile;
    auto it = meaning.find(profile);
    if (it == meaning.end()) {
      it = meaning.emplace(profile, EffectivePolicy(settings_.policies, settings_.ceiling, profile))
               .first;
    }
    Follow(*session, it->second, reply);
  }
  return reply;
}

void Gateway::Follow(Session& session, const Result<policy::Policy>& named, ReloadReply& reply) {
  const std::string& profile = session.key.profile;
  if (!named) {
    ++reply.closed;
    if (session.closed.empty()) {
      Withdraw(session,
               "the profile `" + profile + "` was taken away; open a session with another profile");
    }
    return;
  }
  // A profile that is there again goes on where it was.
  const bool back = !session.outgrown && !std::exchange(session.closed, {}).empty();
  const cbor::Bytes named_hash = Sha256(named->text);
  if (named_hash == session.opening.named_hash && !back) return;
  const policy::Policy wanted = policy::ForWork(*named, session.work);
  policy::Policy policy = policy::AfterReload(session.policy, wanted);
  if (policy.text.size() > audit::kMaxPolicyBytes) {
    ++reply.closed;
    session.outgrown = true;
    Withdraw(session, "the profile `" + profile +
                          "` changed too often for this session; begin another one with `krux "
                          "session new`");
    return;
  }
  reply.narrowed += policy::Within(session.policy, policy) ? 0 : 1;
  reply.kept += policy::Within(wanted, policy) ? 0 : 1;
  session.opening.named_hash = named_hash;
  session.opening.policy_epoch = pipeline_.policy_epoch();
  if (policy.text != session.policy.text) {
    session.policy_hash = Sha256(policy.text);
    session.opening.policy_hash = session.policy_hash;
    session.policy = std::move(policy);
    pipeline_.Renew(session);
    RecordPolicy(session);
  }
  policy::Narrow(session.state, session.policy, session.policy_hash, session.opening.opened_ms);
  RecordChange(session, "reloaded");
}

// Its calls that run, or were decided, go on to their end; no other begins.
void Gateway::Withdraw(Session& session, const std::string& reason) {
  session.closed = reason;
  session.opening.policy_epoch = pipeline_.policy_epoch();
  pipeline_.Renew(session);
  RecordChange(session, "withdrawn");
}

// What a gateway after this one needs to go on with it.
void Gateway::RecordChange(const Session& session, const char* event) {
  audit_.Append(audit::SessionDraft(session.id, event,
                                    OpeningDetails(session.opening, StateLattice(session),
                                                   BudgetLattice(session.state))),
                [](const Appended&) {});
}

}  // namespace krux::gateway
