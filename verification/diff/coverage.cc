// What a comparison reached. A part that was never decisive was never compared where it matters.
#include <algorithm>

#include "verification/diff/compare.h"
#include "verification/diff/decoder.h"

namespace krux::diff {
namespace {

constexpr const char* kParts[] = {
#define KRUX_COMPONENT(id, name, what) name,
#include "policy/kernel/tables.def"
};
constexpr const char* kDimensions[] = {
#define KRUX_DIMENSION(id, name, consequential, lockdown, what) name,
#include "policy/kernel/tables.def"
    "none"};
constexpr const char* kTickets[] = {
#define KRUX_TICKET(id, name, what) name,
#include "policy/kernel/tables.def"
};
constexpr const char* kVerdicts[] = {"deny", "ask", "allow"};

std::string Decisive(int part, uint8_t verdict) {
  return std::string("decisive: ") + kParts[part] + " " + kVerdicts[verdict];
}

uint8_t Folded(const Result& result) {
  return *std::min_element(std::begin(result.parts), std::end(result.parts));
}

// Tickets that could still be used; 16 of them leave no free slot.
int LiveTickets(const krux_state& state, uint64_t now_ms) {
  int live = 0;
  for (const krux_ticket& ticket : state.tickets) {
    live += ticket.kind != KRUX_TICKET_NONE && now_ms < ticket.expires_ms &&
            std::equal(std::begin(ticket.policy), std::end(ticket.policy), state.policy_id);
  }
  return live;
}

}  // namespace

Coverage::Coverage() {
  for (int i = 1; i <= kKinds; ++i)
    reached_[std::string("event: ") + Name(static_cast<Kind>(i))] = 0;
  for (const char* verdict : kVerdicts) reached_[std::string("verdict: ") + verdict] = 0;
  for (int i = 0; i < KRUX_COMPONENTS; ++i) {
    const bool asks = i != KRUX_PART_SCOPE && i != KRUX_PART_CONFINEMENT && i != KRUX_PART_LIMIT;
    const bool denies = i != KRUX_PART_OBLIGATION;
    if (asks) reached_[Decisive(i, KRUX_ASK)] = 0;
    if (denies) reached_[Decisive(i, KRUX_DENY)] = 0;
  }
  for (const char* dimension : kDimensions) reached_[std::string("allowed: ") + dimension] = 0;
  for (int i = 1; i < KRUX_TICKET_KINDS; ++i)
    reached_[std::string("ticket used: ") + kTickets[i]] = 0;
  for (const char* name : {"ticket: could not lift",
                           "ticket: expired at this very moment",
                           "gate fired",
                           "gate overlooked: endorsed",
                           "trust fired",
                           "attenuate: budget fell",
                           "attenuate: tickets died",
                           "lockdown: level fell",
                           "charge: to nothing",
                           "charge: part",
                           "taint: new leg",
                           "grant: taken",
                           "grant: refused",
                           "grant: refused, no slot",
                           "revoke: found",
                           "revoke: not found",
                           "delegate: child",
                           "delegate: refused, depth",
                           "delegate: refused, share",
                           "delegate: whole budget",
                           "clock: forwards",
                           "clock: backwards",
                           "clock: 0",
                           "clock: 2^64-1",
                           "number at 2^64-1",
                           "calls at 2^64-1",
                           "cost: exactly what is left",
                           "cost: one more than is left",
                           "nonsense: level",
                           "nonsense: dimension",
                           "nonsense: risk",
                           "nonsense: mode",
                           "within: yes",
                           "within: no"}) {
    reached_[name] = 0;
  }
}

void Coverage::Hit(const std::string& name) { ++reached_[name]; }

void Coverage::Decision(const Event& event, const krux_state& before, const Result& result) {
  const krux_call& call = event.call;
  Hit(std::string("verdict: ") + kVerdicts[result.verdict]);
  if (result.verdict == KRUX_ALLOW && before.calls == kMostNumber) Hit("calls at 2^64-1");
  const uint8_t folded = Folded(result);
  const auto lowest = std::count(std::begin(result.parts), std::end(result.parts), folded);
  for (int i = 0; i < KRUX_COMPONENTS; ++i) {
    if (result.parts[i] == folded && lowest == 1) Hit(Decisive(i, folded));
  }
  if (result.verdict == KRUX_ALLOW)
    Hit(std::string("allowed: ") + kDimensions[std::min<int>(call.dimension, KRUX_DIM_NONE)]);
  if (result.ticket != 0)
    Hit(std::string("ticket used: ") + kTickets[before.tickets[result.ticket - 1].kind]);
  if (folded == KRUX_ASK && result.ticket == 0 && LiveTickets(before, event.now_ms) > 0)
    Hit("ticket: could not lift");
  for (const krux_ticket& ticket : before.tickets) {
    if (ticket.kind != KRUX_TICKET_NONE && ticket.expires_ms == event.now_ms)
      Hit("ticket: expired at this very moment");
  }
  if (result.parts[KRUX_PART_GATE] != KRUX_ALLOW) Hit("gate fired");
  if (result.parts[KRUX_PART_TRUST] != KRUX_ALLOW) Hit("trust fired");
  const bool full = (before.exposure | result.contribution) == KRUX_ALL_LEGS;
  if (call.sink && call.endorsed && full) Hit("gate overlooked: endorsed");
  for (int i = 0; i < KRUX_BUDGETS; ++i) {
    if (call.cost[i] != 0 && call.cost[i] == before.remaining[i]) Hit("cost: exactly what is left");
    if (call.cost[i] != 0 && call.cost[i] - 1 == before.remaining[i])
      Hit("cost: one more than is left");
    if (call.cost[i] == kMostNumber) Hit("number at 2^64-1");
  }
  if (call.dimension > KRUX_DIM_NONE) Hit("nonsense: dimension");
  if (call.risk >= KRUX_RISKS) Hit("nonsense: risk");
  if (call.dimension < KRUX_DIMENSIONS && (before.policy.levels >> (2 * call.dimension) & 3) == 3)
    Hit("nonsense: level");
  if (before.policy.trifecta != KRUX_ASK && before.policy.trifecta != KRUX_DENY)
    Hit("nonsense: mode");
}

void Coverage::Session(const Event& event, const krux_state& before, const Result& result,
                       const krux_state& after) {
  const auto less = [&](int i) { return after.remaining[i] < before.remaining[i]; };
  switch (event.kind) {
    case Kind::kAttenuate:
      for (int i = 0; i < KRUX_BUDGETS; ++i) {
        if (less(i)) Hit("attenuate: budget fell");
      }
      if (LiveTickets(before, 0) > LiveTickets(after, 0)) Hit("attenuate: tickets died");
      break;
    case Kind::kLockdown:
      if (before.policy.levels != after.policy.levels) Hit("lockdown: level fell");
      break;
    case Kind::kCharge:
      for (int i = 0; i < KRUX_BUDGETS; ++i) {
        if (less(i)) Hit(after.remaining[i] == 0 ? "charge: to nothing" : "charge: part");
      }
      break;
    case Kind::kTaint:
      if (before.exposure != after.exposure) Hit("taint: new leg");
      break;
    case Kind::kGrant:
      Hit(result.returned != 0 ? "grant: taken" : "grant: refused");
      if (result.returned == 0 && LiveTickets(before, event.now_ms) == KRUX_TICKETS)
        Hit("grant: refused, no slot");
      break;
    case Kind::kRevoke:
      Hit(result.returned != 0 ? "revoke: found" : "revoke: not found");
      break;
    case Kind::kDelegate:
      if (result.returned != 0) {
        Hit("delegate: child");
        for (int i = 0; i < KRUX_BUDGETS; ++i) {
          if (less(i) && after.remaining[i] == 0) Hit("delegate: whole budget");
        }
      } else {
        Hit(before.policy.depth == 0 ? "delegate: refused, depth" : "delegate: refused, share");
      }
      break;
    case Kind::kWithin:
      Hit(result.returned != 0 ? "within: yes" : "within: no");
      break;
    default:
      break;
  }
}

void Coverage::Count(const Event& event, const krux_state& before, const Result& result,
                     const Machine& after) {
  Hit(std::string("event: ") + Name(event.kind));
  if (event.kind == Kind::kCall || event.kind == Kind::kDecide) {
    Decision(event, before, result);
  } else {
    Session(event, before, result, after.session(event.session));
  }
  if (event.kind != Kind::kCall && event.kind != Kind::kDecide && event.kind != Kind::kGrant)
    return;
  if (event.now_ms > last_now_) Hit("clock: forwards");
  if (event.now_ms < last_now_) Hit("clock: backwards");
  if (event.now_ms == 0) Hit("clock: 0");
  if (event.now_ms == kMostNumber) Hit("clock: 2^64-1");
  last_now_ = event.now_ms;
}

std::vector<std::string> Coverage::Missing() const {
  std::vector<std::string> missing;
  for (const auto& [name, count] : reached_) {
    if (count == 0) missing.push_back(name);
  }
  return missing;
}

std::string Coverage::Text() const {
  std::string text, group;
  for (const auto& [name, count] : reached_) {
    const std::string title = name.substr(0, name.find(": "));
    text += title == group ? "," : (text.empty() ? "  " : "\n  ") + title + ":";
    text +=
        (title == name ? "" : " " + name.substr(title.size() + 2)) + " " + std::to_string(count);
    group = title;
  }
  return text + "\n";
}

void Coverage::Add(const Coverage& other) {
  for (const auto& [name, count] : other.reached_) reached_[name] += count;
}

}  // namespace krux::diff
