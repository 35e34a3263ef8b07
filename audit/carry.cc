#include "audit/carry.h"

#include <algorithm>

namespace krux::audit {
namespace {

using cbor::Map;
using cbor::Value;

constexpr size_t kIdBytes = 16;

const Map* MapAt(const Map& map, const Value& key) {
  const Value* found = map.Find(key);
  return found == nullptr ? nullptr : found->map();
}

const cbor::Bytes* IdAt(const Map& map, const Value& key) {
  const Value* found = map.Find(key);
  const bool id =
      found != nullptr && found->bytes() != nullptr && found->bytes()->size() == kIdBytes;
  return id ? found->bytes() : nullptr;
}

const std::string* TextAt(const Map& map, const Value& key) {
  const Value* found = map.Find(key);
  return found == nullptr ? nullptr : found->text();
}

bool IsLattice(const Value& value) {
  const Map* map = value.map();
  return map != nullptr && map->size() <= Carry::kMaxLatticeEntries &&
         std::ranges::all_of(*map, [](const Map::Entry& entry) {
           return entry.first.uint() != nullptr && entry.second.uint() != nullptr;
         });
}

bool IsLabel(const Value& value) {
  return value.bytes() != nullptr && value.bytes()->size() <= Carry::kMaxLabelBytes;
}

std::unexpected<Error> Malformed(const std::string& what) {
  return Fail(ExitCode::kBadData, "audit record", what + " is nothing that can be carried");
}

bool Begins(const std::string& event) {
  return event == "opened" || event == "resumed" || event == "reloaded" || event == "withdrawn";
}

// The bits of key 0 that were not there before came with this record.
void SetState(uint64_t seq, const Map& state, Map* kept, std::map<uint64_t, uint64_t>* since) {
  *kept = state;
  const Value* bits = state.Find(0u);
  if (bits == nullptr || bits->uint() == nullptr) return;
  for (uint64_t bit = 0; bit < 64; ++bit) {
    if ((*bits->uint() >> bit & 1) != 0) since->try_emplace(bit, seq);
  }
}

}  // namespace

bool IsCarried(Kind kind, const Map& body) {
  const std::string* event = kind == Kind::kSession ? TextAt(body, 1u)
                             : kind == Kind::kAdmin ? TextAt(body, 0u)
                                                    : nullptr;
  return event != nullptr && *event == "carried";
}

Result<void> Carry::Check(const Draft& draft) const {
  const Map* details = nullptr;
  if (draft.kind == Kind::kSession) {
    details = MapAt(draft.body, 2u);
    const std::string* event = TextAt(draft.body, 1u);
    const cbor::Bytes* id = IdAt(draft.body, 0u);
    if (details == nullptr || event == nullptr || id == nullptr) return Malformed("a session");
    for (const char* key : {"state", "budget"}) {
      const Value* lattice = details->Find(key);
      if (lattice != nullptr && !IsLattice(*lattice))
        return Malformed(std::string("`") + key + "`");
    }
    if (!Begins(*event) || details->Find("state") == nullptr) return {};
    if (cbor::Encode(*details).size() > kMaxOpenedBytes) return Malformed("so long an opening");
    if (!entries_.contains(*id) && entries_.size() - sets_ >= kMaxSessions) {
      return Fail(ExitCode::kAudit, "audit record",
                  "the log carries " + std::to_string(kMaxSessions) + " sessions already");
    }
    return {};
  }
  if (draft.kind != Kind::kIntent) return {};
  for (const uint64_t key : {9u, 20u}) {
    const Value* lattice = draft.body.Find(key);
    if (lattice != nullptr && !IsLattice(*lattice)) return Malformed("so large a state");
  }
  details = MapAt(draft.body, 10u);
  const Value* labels = details == nullptr ? nullptr : details->Find("labels");
  if (labels == nullptr) return {};
  if (IdAt(*details, "work") == nullptr || labels->array() == nullptr ||
      labels->array()->size() > kMaxNewLabels || !std::ranges::all_of(*labels->array(), IsLabel)) {
    return Malformed("`labels`");
  }
  return {};
}

void Carry::Apply(uint64_t seq, Kind kind, const Map& body) {
  switch (kind) {
    case Kind::kSession:
      return ApplySession(seq, body);
    case Kind::kAdmin: {
      const Map* details = MapAt(body, 1u);
      const Map* policies = details == nullptr ? nullptr : MapAt(*details, "policies");
      if (policies != nullptr) policies_ = *policies;
      return;
    }
    case Kind::kIntent:
    case Kind::kDenial:
    case Kind::kDeferral:
      return ApplyDecision(seq, kind, body);
    case Kind::kOutcome:
    case Kind::kRecovered: {
      const Value* intent = body.Find(1u);
      if (intent == nullptr || intent->uint() == nullptr) return;
      const auto open = open_.find(*intent->uint());
      if (open == open_.end()) return;
      const auto entry = entries_.find(open->second);
      const Map* state = kind == Kind::kOutcome ? MapAt(body, 10u) : nullptr;
      const Map* budget = kind == Kind::kOutcome ? MapAt(body, 13u) : nullptr;
      if (entry != entries_.end() && state != nullptr)
        SetState(*intent->uint(), *state, &entry->second.state, &entry->second.since);
      if (entry != entries_.end() && budget != nullptr) entry->second.budget = *budget;
      open_.erase(open);
      return;
    }
    default:
      return;
  }
}

void Carry::ApplySession(uint64_t seq, const Map& body) {
  const cbor::Bytes* id = IdAt(body, 0u);
  const std::string* event = TextAt(body, 1u);
  const Map* details = MapAt(body, 2u);
  if (id == nullptr || event == nullptr || details == nullptr) return;
  if (*event == "carried") return ApplyCarried(*id, *details);
  const auto found = entries_.find(*id);
  if (*event == "ended") return Forget(*id);
  const Map* state = MapAt(*details, "state");
  const Map* budget = MapAt(*details, "budget");
  if (found == entries_.end() && (!Begins(*event) || state == nullptr)) return;
  Entry& entry = found == entries_.end() ? entries_[*id] : found->second;
  if (Begins(*event) && state != nullptr) entry.opened = *details;
  if (state != nullptr) SetState(seq, *state, &entry.state, &entry.since);
  if (budget != nullptr) entry.budget = *budget;
}

void Carry::Forget(const cbor::Bytes& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  if (found->second.opened.empty()) --sets_;
  labels_ -= found->second.labels.size();
  entries_.erase(found);
}

void Carry::ApplyDecision(uint64_t seq, Kind kind, const Map& body) {
  const cbor::Bytes* session = IdAt(body, 1u);
  if (session == nullptr) return;
  const auto found = entries_.find(*session);
  if (found != entries_.end()) {
    const Map* state = MapAt(body, 9u);
    const Map* budget = MapAt(body, 20u);
    if (state != nullptr && !state->empty())
      SetState(seq, *state, &found->second.state, &found->second.since);
    if (budget != nullptr) found->second.budget = *budget;
  }
  if (kind != Kind::kIntent) return;
  if (found != entries_.end()) open_[seq] = *session;
  const Map* inputs = MapAt(body, 10u);
  const Value* labels = inputs == nullptr ? nullptr : inputs->Find("labels");
  const cbor::Bytes* work = inputs == nullptr ? nullptr : IdAt(*inputs, "work");
  if (labels != nullptr && labels->array() != nullptr && work != nullptr)
    AddLabels(*work, *labels->array());
}

// What there is no room for is not forgotten: the empty label means every file, the id of zeros
// every workspace.
void Carry::AddLabels(const cbor::Bytes& work, const cbor::Array& labels) {
  auto found = entries_.find(work);
  bool all = false;
  if (found == entries_.end()) {
    all = sets_ >= kMaxSets;
    const cbor::Bytes id = all ? cbor::Bytes(kIdBytes) : work;
    if (!entries_.contains(id)) ++sets_;
    found = entries_.try_emplace(id).first;
  }
  std::set<cbor::Bytes>& set = found->second.labels;
  labels_ -= set.size();
  for (const Value& label : labels) {
    if (label.bytes() != nullptr) set.insert(*label.bytes());
  }
  if (all || set.contains({}) || set.size() > kMaxLabels || labels_ + set.size() > kMaxAllLabels)
    set = {cbor::Bytes()};
  labels_ += set.size();
}

Map Carry::Details(const cbor::Bytes& id, const Entry& entry) const {
  Map details;
  if (!entry.opened.empty()) {
    details = Map{{"opened", entry.opened}, {"state", entry.state}, {"budget", entry.budget}};
    Map since;
    for (const auto& [bit, seq] : entry.since) since.Set(bit, seq);
    details.Set("since", std::move(since));
  }
  cbor::Array open;
  for (const auto& [seq, session] : open_) {
    if (session == id) open.emplace_back(seq);
  }
  if (!open.empty()) details.Set("open", std::move(open));
  if (!entry.labels.empty())
    details.Set("labels", cbor::Array(entry.labels.begin(), entry.labels.end()));
  return details;
}

std::vector<Draft> Carry::Records() const {
  std::vector<Draft> records;
  for (const auto& [id, entry] : entries_)
    records.push_back(SessionDraft(id, "carried", Details(id, entry)));
  if (!policies_.empty()) records.push_back(AdminDraft("carried", Map{{"policies", policies_}}));
  return records;
}

void Carry::ApplyCarried(const cbor::Bytes& id, const Map& details) {
  Forget(id);
  Entry entry;
  if (const Map* opened = MapAt(details, "opened")) entry.opened = *opened;
  if (const Map* state = MapAt(details, "state")) entry.state = *state;
  if (const Map* budget = MapAt(details, "budget")) entry.budget = *budget;
  if (const Map* since = MapAt(details, "since")) {
    for (const auto& [bit, seq] : *since) {
      if (bit.uint() != nullptr && seq.uint() != nullptr) entry.since[*bit.uint()] = *seq.uint();
    }
  }
  const Value* open = details.Find("open");
  if (open != nullptr && open->array() != nullptr) {
    for (const Value& seq : *open->array()) {
      if (seq.uint() != nullptr) open_[*seq.uint()] = id;
    }
  }
  const Value* labels = details.Find("labels");
  if (labels != nullptr && labels->array() != nullptr) {
    for (const Value& label : *labels->array()) {
      if (label.bytes() != nullptr) entry.labels.insert(*label.bytes());
    }
  }
  labels_ += entry.labels.size();
  if (entry.opened.empty()) ++sets_;
  entries_[id] = std::move(entry);
}

cbor::Array Carry::Page(const cbor::Bytes& after, size_t max_bytes, uint64_t* left) const {
  cbor::Array page;
  size_t bytes = 0;
  auto it = after.empty() ? entries_.begin() : entries_.upper_bound(after);
  for (; it != entries_.end(); ++it) {
    cbor::Array item{it->first, Details(it->first, it->second)};
    bytes += cbor::Encode(item).size();
    if (!page.empty() && bytes > max_bytes) break;
    page.emplace_back(std::move(item));
  }
  *left = static_cast<uint64_t>(std::distance(it, entries_.end()));
  if (*left == 0 && !policies_.empty())
    page.emplace_back(cbor::Array{cbor::Bytes(kIdBytes), Map{{"policies", policies_}}});
  return page;
}

}  // namespace krux::audit
