#include "audit/verify/sessions.h"

#include <algorithm>

namespace krux::audit::verify {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint64_t kExposure = 0, kFlags = 3;  // sets of bits; the rest of a state are numbers
constexpr size_t kMostSets = 4096, kMostLabels = 1024, kMostAllLabels = 65536;
constexpr uint8_t kUintHead = 0x00, kBytesHead = 0x40, kTextHead = 0x60, kArrayHead = 0x80,
                  kMapHead = 0xa0;

Bytes Copy(ByteView view) { return {view.begin(), view.end()}; }

void PutHead(uint8_t major, uint64_t n, Bytes* out) {
  int width = 0;  // bytes that follow
  if (n < 24) {
    out->push_back(static_cast<uint8_t>(major | n));
    return;
  }
  while (width < 8 && (width == 0 || n >> (8 * width) != 0)) width = width == 0 ? 1 : width * 2;
  out->push_back(static_cast<uint8_t>(major | (width == 1   ? 24
                                               : width == 2 ? 25
                                               : width == 4 ? 26
                                                            : 27)));
  for (int i = width - 1; i >= 0; --i) out->push_back(static_cast<uint8_t>(n >> (8 * i)));
}

void PutKey(std::string_view key, Bytes* out) {
  PutHead(kTextHead, key.size(), out);
  out->insert(out->end(), key.begin(), key.end());
}

void Put(ByteView raw, Bytes* out) { out->insert(out->end(), raw.begin(), raw.end()); }

// The value under a text key of an encoded map, or nothing.
ByteView At(ByteView map, std::string_view key) {
  Cursor c(map);
  for (uint64_t pairs = c.Map(); pairs > 0 && c.ok(); --pairs) {
    const bool text = c.Is(Type::kText);
    Cursor name = c;
    c.Skip();
    const ByteView value = c.Skip();
    if (text && name.Text() == key && c.ok()) return value;
  }
  return {};
}

bool IsMap(ByteView raw) { return Cursor(raw).Is(Type::kMap); }

uint64_t NumberIn(const std::map<uint64_t, uint64_t>& numbers, uint64_t key) {
  const auto found = numbers.find(key);
  return found == numbers.end() ? 0 : found->second;
}

}  // namespace

struct Sessions::Parts {
  Bytes id;  // key 0 of a session record, key 1 of a decision
  std::string_view event;
  ByteView details;        // session
  ByteView state, inputs;  // decision; state also of an outcome
  ByteView budget;         // decision: key 20; outcome: key 13
};

std::string Sessions::Take(const Facts& facts, bool judge) {
  Parts parts;
  const bool decision = facts.kind == kIntent || facts.kind == kDenial || facts.kind == kDeferral;
  Cursor c(facts.body);
  for (uint64_t pairs = c.Map(); pairs > 0 && c.ok(); --pairs) {
    const uint64_t key = c.Uint();
    const ByteView value = c.Skip();
    if (facts.kind == kSession && key == 0) parts.id = Copy(Cursor(value).Bytes());
    if (facts.kind == kSession && key == 1) parts.event = Cursor(value).Text();
    if (facts.kind == kSession && key == 2) parts.details = value;
    if (facts.kind == kAdmin && key == 0) parts.event = Cursor(value).Text();
    if (facts.kind == kAdmin && key == 1) parts.details = value;
    if (facts.kind == kOutcome && key == 10) parts.state = value;
    if (decision && key == 1) parts.id = Copy(Cursor(value).Bytes());
    if (decision && key == 9) parts.state = value;
    if (decision && key == 10) parts.inputs = value;
    if (key == (decision ? 20 : 13)) parts.budget = value;
  }
  if (facts.kind == kSegment) {
    head_ = true;
    seen_.clear();
    seen_policies_.clear();
    return {};
  }
  if (facts.kind == kSession && parts.event == "carried") {
    if (!head_) return "what is carried stands behind other records";
    return TakeCarried(parts.id, parts.details, judge);
  }
  if (facts.kind == kAdmin && parts.event == "carried") {
    if (!head_) return "what is carried stands behind other records";
    return TakeCarriedPolicies(parts.details, judge);
  }
  if (std::string why = EndHead(judge); !why.empty()) return why;
  if (facts.kind == kAdmin) {
    if (const ByteView policies = At(parts.details, "policies"); IsMap(policies))
      policies_ = Copy(policies);
    return {};
  }
  if (facts.kind == kSession) return TakeSession(parts, facts.seq, judge);
  if (decision) return TakeDecision(parts, facts, judge);
  if (facts.closes) return TakeOutcome(parts, facts, judge);
  return {};
}

std::string Sessions::TakeCarried(const Bytes& id, ByteView details, bool judge) {
  seen_[id] = Copy(details);
  if (!judge) return {};
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return "it carries what no record before it began";
  if (!std::ranges::equal(Encoded(id, entry->second), details))
    return "it carries something else than the records before it say";
  return {};
}

std::string Sessions::TakeCarriedPolicies(ByteView details, bool judge) {
  seen_policies_ = Copy(At(details, "policies"));
  if (!judge) return {};
  Cursor only(details);
  if (seen_policies_ != policies_ || only.Map() != 1)
    return "it carries other policies than the records before it say";
  return {};
}

std::string Sessions::EndHead(bool judge) {
  if (!head_) return {};
  head_ = false;
  if (!judge) {
    entries_.clear();
    open_.clear();
    sets_ = labels_ = 0;
    for (const auto& [id, details] : seen_) Believe(id, details);
    policies_ = seen_policies_;
    return {};
  }
  if (seen_policies_ != policies_) return "the segment does not begin with the policies";
  for (const auto& [id, entry] : entries_) {
    if (!seen_.contains(id)) return "the segment does not begin with session " + Hex(id);
  }
  return {};
}

std::string Sessions::TakeSession(const Parts& parts, uint64_t seq, bool judge) {
  if (parts.event == "ended") {
    Forget(parts.id);
    return {};
  }
  const bool begins = parts.event == "opened" || parts.event == "resumed" ||
                      parts.event == "reloaded" || parts.event == "withdrawn";
  const ByteView state = At(parts.details, "state"), budget = At(parts.details, "budget");
  auto found = entries_.find(parts.id);
  if (found == entries_.end()) {
    if (!begins || !IsMap(state)) return {};
    found = entries_.try_emplace(parts.id).first;
  }
  Entry& entry = found->second;
  if (begins && IsMap(state)) entry.opened = Copy(parts.details);
  std::string why;
  if (IsMap(state)) why = SetState(&entry, state, seq, judge);
  if (IsMap(budget) && why.empty()) why = SetBudget(&entry, budget, judge);
  return why;
}

std::string Sessions::TakeDecision(const Parts& parts, const Facts& facts, bool judge) {
  std::string why;
  const auto found = entries_.find(parts.id);
  if (found != entries_.end()) {
    if (Cursor c(parts.state); c.Map() > 0)
      why = SetState(&found->second, parts.state, facts.seq, judge);
    if (IsMap(parts.budget) && why.empty()) why = SetBudget(&found->second, parts.budget, judge);
  }
  if (facts.kind != kIntent) return why;
  if (found != entries_.end()) open_[facts.seq] = parts.id;
  const ByteView labels = At(parts.inputs, "labels"), work = At(parts.inputs, "work");
  if (Cursor(labels).Is(Type::kArray) && Cursor(work).Bytes().size() == 16)
    AddLabels(Copy(Cursor(work).Bytes()), labels);
  return why;
}

std::string Sessions::TakeOutcome(const Parts& parts, const Facts& facts, bool judge) {
  const auto open = open_.find(*facts.closes);
  if (open == open_.end()) return {};
  const auto entry = entries_.find(open->second);
  open_.erase(open);
  if (facts.kind != kOutcome || entry == entries_.end()) return {};
  std::string why;
  // What a call brought late came with the call.
  if (IsMap(parts.state)) why = SetState(&entry->second, parts.state, *facts.closes, judge);
  if (IsMap(parts.budget) && why.empty()) why = SetBudget(&entry->second, parts.budget, judge);
  return why;
}

Sessions::Lattice Sessions::Read(ByteView raw) {
  Lattice lattice{Copy(raw), {}};
  Cursor c(raw);
  for (uint64_t pairs = c.Map(); pairs > 0 && c.ok(); --pairs) {
    const uint64_t key = c.Uint();
    lattice.numbers[key] = c.Uint();
  }
  return lattice;
}

std::string Sessions::SetState(Entry* entry, ByteView raw, uint64_t seq, bool judge) {
  Lattice state = Read(raw);
  std::string why;
  for (const auto& [key, before] : entry->state.numbers) {
    const uint64_t now = NumberIn(state.numbers, key);
    if (key == kExposure && (before & ~now) != 0) why = "the exposure of its session falls";
    if (key == kFlags && (before & ~now) != 0) why = "a flag of its session is gone";
    if (key != kExposure && key != kFlags && now < before)
      why = "number " + std::to_string(key) + " in the state of its session falls";
  }
  entry->state = std::move(state);
  const uint64_t exposure = NumberIn(entry->state.numbers, kExposure);
  for (uint64_t bit = 0; bit < 64; ++bit) {
    if ((exposure >> bit & 1) != 0) entry->since.try_emplace(bit, seq);
  }
  return judge ? why : "";
}

std::string Sessions::SetBudget(Entry* entry, ByteView raw, bool judge) {
  Lattice budget = Read(raw);
  std::string why;
  for (const auto& [key, before] : entry->budget.numbers) {
    const auto now = budget.numbers.find(key);
    if (now == budget.numbers.end() || now->second > before)
      why = "number " + std::to_string(key) + " in the budget of its session rises";
  }
  entry->budget = std::move(budget);
  return judge ? why : "";
}

void Sessions::AddLabels(const Bytes& work, ByteView labels) {
  auto found = entries_.find(work);
  bool all = false;
  if (found == entries_.end()) {
    all = sets_ >= kMostSets;
    const Bytes id = all ? Bytes(16) : work;
    const auto [place, made] = entries_.try_emplace(id);
    found = place;
    if (made) ++sets_;
  }
  std::set<Bytes>& set = found->second.labels;
  labels_ -= set.size();
  Cursor c(labels);
  for (uint64_t n = c.Array(); n > 0 && c.ok(); --n) set.insert(Copy(c.Bytes()));
  if (all || set.contains(Bytes()) || set.size() > kMostLabels ||
      labels_ + set.size() > kMostAllLabels)
    set = {Bytes()};
  labels_ += set.size();
}

void Sessions::Forget(const Bytes& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  if (found->second.opened.empty()) --sets_;
  labels_ -= found->second.labels.size();
  entries_.erase(found);
}

void Sessions::Believe(const Bytes& id, ByteView details) {
  Entry entry;
  const ByteView state = At(details, "state"), budget = At(details, "budget");
  entry.opened = Copy(At(details, "opened"));
  if (IsMap(state)) entry.state = Read(state);
  if (IsMap(budget)) entry.budget = Read(budget);
  if (const ByteView since = At(details, "since"); IsMap(since)) entry.since = Read(since).numbers;
  Cursor open(At(details, "open"));
  for (uint64_t n = open.Array(); n > 0 && open.ok(); --n) open_[open.Uint()] = id;
  Cursor labels(At(details, "labels"));
  for (uint64_t n = labels.Array(); n > 0 && labels.ok(); --n)
    entry.labels.insert(Copy(labels.Bytes()));
  if (entry.opened.empty()) ++sets_;
  labels_ += entry.labels.size();
  entries_[id] = std::move(entry);
}

// Keys in the bytewise order of their encodings: shorter ones first.
Bytes Sessions::Encoded(const Bytes& id, const Entry& entry) const {
  std::vector<uint64_t> open;
  for (const auto& [seq, session] : open_) {
    if (session == id) open.push_back(seq);
  }
  const bool session = !entry.opened.empty();
  Bytes out;
  PutHead(kMapHead, (session ? 4u : 0u) + (open.empty() ? 0 : 1) + (entry.labels.empty() ? 0 : 1),
          &out);
  if (!open.empty()) {
    PutKey("open", &out);
    PutHead(kArrayHead, open.size(), &out);
    for (const uint64_t seq : open) PutHead(kUintHead, seq, &out);
  }
  if (session) {
    PutKey("since", &out);
    PutHead(kMapHead, entry.since.size(), &out);
    for (const auto& [bit, seq] : entry.since) {
      PutHead(kUintHead, bit, &out);
      PutHead(kUintHead, seq, &out);
    }
    PutKey("state", &out);
    Put(entry.state.raw, &out);
    PutKey("budget", &out);
    Put(entry.budget.raw, &out);
  }
  if (!entry.labels.empty()) {
    PutKey("labels", &out);
    PutHead(kArrayHead, entry.labels.size(), &out);
    for (const Bytes& label : entry.labels) {
      PutHead(kBytesHead, label.size(), &out);
      Put(label, &out);
    }
  }
  if (session) {
    PutKey("opened", &out);
    Put(entry.opened, &out);
  }
  return out;
}

}  // namespace krux::audit::verify
