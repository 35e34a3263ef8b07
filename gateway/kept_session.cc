#include "gateway/kept_session.h"

#include <utility>

#include "gateway/session_protocol.h"

namespace krux::gateway {
namespace {

using cbor::Map;
using cbor::Value;

constexpr size_t kHashBytes = 32;
constexpr size_t kMaxPath = 4096;
constexpr size_t kMaxProfile = 256;

bool SameOwner(const Opening& a, const Opening& b) {
  return a.uid == b.uid && a.profile == b.profile;
}

bool SameInode(const Opening& a, const Opening& b) {
  return a.device == b.device && a.inode == b.inode;
}

}  // namespace

Map OpeningDetails(const Opening& opening, const Map& state, const Map& budget) {
  return Map{{"uid", uint64_t{opening.uid}},
             {"gid", uint64_t{opening.gid}},
             {"work", PathValue(opening.work)},
             {"device", opening.device},
             {"inode", opening.inode},
             {"profile", opening.profile},
             {"policy", opening.policy_hash},
             {"named", opening.named_hash},
             {"epoch", opening.policy_epoch},
             {"opened_ms", opening.opened_ms},
             {"resumed", opening.resumed},
             {"state", state},
             {"budget", budget}};
}

Result<Opening> OpeningFrom(const Map& details) {
  cbor::MapReader reader(details, "opened");
  Opening opening;
  opening.uid = static_cast<uid_t>(reader.Uint("uid", UINT32_MAX));
  opening.gid = static_cast<gid_t>(reader.Uint("gid", UINT32_MAX));
  opening.work = PathFrom(reader.Any("work"));
  opening.device = reader.Uint("device");
  opening.inode = reader.Uint("inode");
  opening.profile = reader.Text("profile", kMaxProfile);
  opening.policy_hash = reader.Fixed("policy", kHashBytes);
  opening.named_hash = reader.Fixed("named", kHashBytes);
  opening.policy_epoch = reader.Uint("epoch");
  opening.opened_ms = reader.Uint("opened_ms");
  opening.resumed = reader.Uint("resumed");
  (void)reader.Submap("state");
  (void)reader.Submap("budget");
  KRUX_TRY(reader.Finish());
  if (opening.work.empty() || opening.work.size() > kMaxPath)
    return Fail(ExitCode::kBadData, "session", "`work` is no path");
  return opening;
}

Result<KeptSession> KeptSessionFrom(const cbor::Bytes& id, const Map& details) {
  cbor::MapReader reader(details, "carried");
  KeptSession kept;
  kept.id = id;
  const Map opened = reader.Submap("opened");
  kept.state = reader.Submap("state");
  kept.budget = reader.Submap("budget");
  const Map since = reader.Submap("since");
  if (reader.Has("open")) (void)reader.List("open");
  if (reader.Has("labels")) (void)reader.List("labels");
  KRUX_TRY(reader.Finish());
  kept.opening = KRUX_TRY(OpeningFrom(opened));
  for (const auto& [bit, seq] : since) {
    if (bit.uint() != nullptr && seq.uint() != nullptr) kept.since[*bit.uint()] = *seq.uint();
  }
  return kept;
}

bool SamePlace(const Opening& kept, const Opening& now) {
  return SameOwner(kept, now) && kept.work == now.work && SameInode(kept, now);
}

bool MayBeSameWork(const Opening& kept, const Opening& now) {
  return kept.uid == now.uid && (kept.work == now.work || SameInode(kept, now));
}

bool MayBeSamePlace(const Opening& kept, const Opening& now) {
  return SameOwner(kept, now) && (kept.work == now.work || SameInode(kept, now));
}

}  // namespace krux::gateway
