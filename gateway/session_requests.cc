// What clients and operators ask about sessions: which there are, what they are in, their end.
#include <algorithm>
#include <utility>
#include <vector>

#include "gateway/gateway.h"
#include "gateway/lattice.h"
#include "gateway/session_protocol.h"

namespace krux::gateway {
namespace {

SessionInfo InfoOf(const cbor::Bytes& id, const Opening& opening, cbor::Map state, cbor::Map budget,
                   const Since& since) {
  SessionInfo info{.session = id,
                   .uid = opening.uid,
                   .work = opening.work,
                   .device = opening.device,
                   .inode = opening.inode,
                   .profile = opening.profile,
                   .policy = opening.policy_hash,
                   .epoch = opening.policy_epoch,
                   .opened_ms = opening.opened_ms,
                   .resumed = opening.resumed,
                   .active = false,
                   .state = std::move(state),
                   .budget = std::move(budget),
                   .since = since,
                   .digest = {}};
  info.digest = DigestOf(info);
  return info;
}

SessionInfo InfoOf(const Session& session) {
  SessionInfo info = InfoOf(session.id, session.opening, StateLattice(session),
                            BudgetLattice(session.state), SinceOf(session));
  info.active = true;
  return info;
}

}  // namespace

void Gateway::OnSessions(Connection& connection, const cbor::Value& value, Packet&) {
  const auto request = DecodeSessionsRequest(value);
  if (!request) return ReplyError(connection, request.error());
  const bool everybodys = connection.door() == Door::kAdminDoor;
  const auto asked = [&](const cbor::Bytes& id, uid_t uid) {
    return id > request->after && (everybodys || uid == connection.peer().uid);
  };
  SessionsReply reply;
  for (const auto& [id, session] : sessions_.all()) {
    if (asked(id, session->key.uid)) reply.sessions.push_back(InfoOf(*session));
  }
  for (const auto& [id, kept] : sessions_.kept()) {
    if (asked(id, kept.opening.uid))
      reply.sessions.push_back(InfoOf(id, kept.opening, kept.state, kept.budget, kept.since));
  }
  std::ranges::sort(reply.sessions, {}, &SessionInfo::session);
  Reply(connection, Encode(reply));
}

// What runs goes on to its outcome; nothing new begins, and what is opened next is another session.
void Gateway::OnEndSession(Connection& connection, const cbor::Value& value, Packet&) {
  const auto request = DecodeEndSessionRequest(value);
  if (!request) return ReplyError(connection, request.error());
  if (!sessions_.End(request->session)) {
    return ReplyError(connection, {ExitCode::kNotFound, 0, "session", "there is no such session"});
  }
  const cbor::Map details{{"cause", "operator"},
                          {"uid", uint64_t{connection.peer().uid}},
                          {"pid", uint64_t(connection.peer().pid)},
                          {"tty", Clip(request->tty, 256)}};
  audit_.Append(audit::SessionDraft(request->session, "ended", details),
                [this, id = connection.id()](const Appended& appended) {
                  Connection* asker = Find(id);
                  if (asker == nullptr || asker->gone() || appended.what == Appended::What::kLate)
                    return;
                  if (appended.what == Appended::What::kDurable)
                    return Reply(*asker, Encode(EndSessionReply{}));
                  ReplyError(*asker, {ExitCode::kAudit, 0, "session",
                                      "the end of the session could not be recorded: " +
                                          appended.error + "; after a restart it goes on"});
                });
}

}  // namespace krux::gateway
