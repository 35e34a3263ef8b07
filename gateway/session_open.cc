// How a session comes to be: anew, or as one that a gateway before this one left.
#include <algorithm>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/log.h"
#include "gateway/gateway.h"
#include "gateway/lattice.h"

namespace krux::gateway {
namespace {

constexpr uint64_t kNsPerMs = 1'000'000;

// A session at work as the next gateway would find it in the log.
KeptSession AsKept(const Session& session) {
  return {.id = session.id,
          .opening = session.opening,
          .state = StateLattice(session),
          .budget = BudgetLattice(session.state),
          .since = SinceOf(session),
          .policy_text = session.policy.text};
}

}  // namespace

Result<std::shared_ptr<Session>> Gateway::OpenSession(const sandbox::WorkOpened& opened,
                                                      const std::string& profile) {
  const SessionKey key{opened.uid, opened.work_id, profile};
  const uint64_t now_ms = clock_.WallNs() / kNsPerMs;
  std::vector<KeptSession> kept;
  if (auto session = sessions_.Find(key); session != nullptr) {
    if (!policy::IsOver(session->policy, session->opening.opened_ms, now_ms)) return session;
    // Its calls that run go on; what they cost from here on is not charged to the successor.
    kept.push_back(AsKept(*session));
    sessions_.Remove(*session);
  }
  if (sessions_.CountOf(opened.uid) >= settings_.limits.bounds.sessions_per_agent) {
    return Fail(ExitCode::kBusy, "open",
                "this user has too many sessions; `krux session new` ends one, a restart of the "
                "gateway keeps them and makes room");
  }
  policy::Policy named = KRUX_TRY(EffectivePolicy(settings_.policies, settings_.ceiling, profile));
  Opening opening{.uid = opened.uid,
                  .gid = opened.gid,
                  .work = opened.path,
                  .device = opened.device,
                  .inode = opened.inode,
                  .profile = profile,
                  .policy_hash = {},
                  .named_hash = Sha256(named.text),
                  .policy_epoch = pipeline_.policy_epoch(),
                  .opened_ms = now_ms,
                  .resumed = 0};
  if (kept.empty()) kept = sessions_.TakeKept(opening);
  auto session = GoOn(key, std::move(opening), std::move(named), kept);
  if (!session) {
    for (const KeptSession& one : kept) sessions_.Keep(one);
    return session;
  }
  sessions_.JoinKept(**session);
  RecordPolicy(**session);
  RecordOpening(*session, kept);
  return session;
}

// INVARIANT: exposure only rises and budget only shrinks, whatever happened in between.
Result<std::shared_ptr<Session>> Gateway::GoOn(const SessionKey& key, Opening opening,
                                               policy::Policy named,
                                               const std::vector<KeptSession>& kept) {
  const uint64_t now_ms = opening.opened_ms;
  for (const KeptSession& one : kept) {
    opening.opened_ms = std::min(opening.opened_ms, one.opening.opened_ms);
    opening.resumed = std::max(opening.resumed, one.opening.resumed + 1);
  }
  policy::Policy policy = KRUX_TRY(RestrictPolicy(named, kept));
  cbor::Bytes id = kept.empty() ? cbor::Bytes() : kept.front().id;
  // A session whose window is over does not go on: another one begins under what its profile means
  // now, with all that was seen and no more than what was left.
  if (!kept.empty() && policy::IsOver(policy, opening.opened_ms, now_ms)) {
    opening.opened_ms = now_ms;
    opening.resumed = 0;
    policy = std::move(named);
    id = {};
  }
  auto session =
      KRUX_TRY(sessions_.Make(key, std::move(opening), std::move(policy), std::move(id)));
  for (const KeptSession& one : kept) {
    if (auto restricted = Restrict(session->state, one.state, one.budget); !restricted) {
      sessions_.Remove(*session);
      return std::unexpected(restricted.error());
    }
    Join(*session->seen, one);
  }
  return session;
}

// INVARIANT: authority only falls. A session that goes on has what its policy was, met with what
// the name of its profile means now.
Result<policy::Policy> Gateway::RestrictPolicy(policy::Policy named,
                                               const std::vector<KeptSession>& kept) {
  const cbor::Bytes now = Sha256(named.text);
  for (const KeptSession& one : kept) {
    if (one.opening.policy_hash == now) continue;
    if (one.policy_text.empty()) {
      return Fail(ExitCode::kAudit, "open",
                  "the policy of the session in `" + one.opening.work +
                      "` is lost; end it with `krux session new`");
    }
    auto before = policy::PolicyFromText(one.policy_text);
    if (!before) {
      return Fail(ExitCode::kAudit, "open",
                  "the policy of the session in `" + one.opening.work +
                      "` cannot be read any more (" + before.error().message +
                      "); end it with `krux session new`");
    }
    named = policy::AfterReload(*before, named);
  }
  return named;
}

// Not awaited: the log keeps the order of appends, so an intent that is durable has these before
// it.
void Gateway::RecordPolicy(const Session& session) {
  if (!stored_policies_.insert(session.policy_hash).second) return;
  const auto check = [this, hash = session.policy_hash](const Appended& appended) {
    if (NeverDurable(appended)) stored_policies_.erase(hash);
  };
  const std::string& text = session.policy.text;
  audit_.StorePolicy(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()), check);
  audit_.Append(
      audit::PolicyDraft(session.policy_hash, session.policy.name, pipeline_.policy_epoch()),
      check);
}

void Gateway::RecordOpening(const std::shared_ptr<Session>& session,
                            const std::vector<KeptSession>& kept) {
  const cbor::Map details =
      OpeningDetails(session->opening, StateLattice(*session), BudgetLattice(session->state));
  const bool resumed = !kept.empty() && kept.front().id == session->id;
  audit_.Append(audit::SessionDraft(session->id, resumed ? "resumed" : "opened", details),
                [this, session, kept](const Appended& appended) {
                  if (!NeverDurable(appended)) return;
                  Log(LogLevel::kError, "kruxd",
                      "the opening of a session could not be recorded: " + appended.error);
                  session->unrecorded = true;
                  sessions_.Remove(*session);
                  // For the log nothing has changed, and so for the next opening.
                  for (const KeptSession& one : kept) sessions_.Keep(one);
                });
  // What became part of it, or what it follows, is no session of its own any more. In this order: a
  // crash between the two leaves both.
  for (size_t i = resumed ? 1 : 0; i < kept.size(); ++i) {
    audit_.Append(audit::SessionDraft(
                      kept[i].id, "ended",
                      cbor::Map{{"cause", resumed ? "joined" : "window"}, {"into", session->id}}),
                  [](const Appended&) {});
  }
}

}  // namespace krux::gateway
