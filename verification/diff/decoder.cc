#include "verification/diff/decoder.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

namespace krux::diff {
namespace {

// How often each kind comes up in random bytes, of 64.
struct Share {
  Kind kind;
  int of_64;
};
constexpr Share kShares[] = {
    {Kind::kCall, 26},     {Kind::kDecide, 3},   {Kind::kBegin, 5},    {Kind::kLoad, 2},
    {Kind::kAttenuate, 2}, {Kind::kLockdown, 1}, {Kind::kCharge, 3},   {Kind::kTaint, 2},
    {Kind::kGrant, 9},     {Kind::kRevoke, 2},   {Kind::kDelegate, 5}, {Kind::kEncode, 1},
    {Kind::kWithin, 2},    {Kind::kMeet, 1},
};
static_assert(std::size(kShares) == kKinds);
static_assert([] {
  int sum = 0;
  for (const Share& share : kShares) sum += share.of_64;
  return sum;
}() == 64);

Kind KindOf(uint8_t byte) {
  int at = byte % 64;
  for (const Share& share : kShares) {
    if (at < share.of_64) return share.kind;
    at -= share.of_64;
  }
  return Kind::kEncode;
}

// Stops at the last number there is.
uint64_t Plus(uint64_t value, uint64_t more) {
  return value > kMostNumber - more ? kMostNumber : value + more;
}

template <size_t N>
void Copy(uint64_t (&to)[N], const uint64_t (&from)[N]) {
  std::memcpy(to, from, sizeof to);
}

uint64_t Take(uint64_t left, uint64_t cost) { return cost < left ? left - cost : 0; }

}  // namespace

uint8_t Decoder::TagOf(Kind kind) {
  int at = 0;
  for (const Share& share : kShares) {
    if (share.kind == kind) return static_cast<uint8_t>(at);
    at += share.of_64;
  }
  return 0;
}

uint8_t Decoder::Byte() {
  if (bytes_.empty()) return 0;
  const uint8_t byte = bytes_.front();
  bytes_ = bytes_.subspan(1);
  return byte;
}

uint64_t Decoder::Raw() {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | Byte();
  return value;
}

// Small ones are common so that they coincide, and so are the last that still fits and the first
// that does not.
uint64_t Decoder::Amount(uint64_t left) {
  static constexpr uint64_t kBounds[] = {0,
                                         1,
                                         UINT32_MAX,
                                         uint64_t{UINT32_MAX} + 1,
                                         uint64_t{1} << 62,
                                         uint64_t{1} << 63,
                                         kMostNumber - 1,
                                         kMostNumber};
  const uint8_t byte = Byte();
  if (byte < 96) return byte & 7;
  if (byte < 128) return left;
  if (byte < 144) return Plus(left, 1);
  if (byte < 160) return left == 0 ? 0 : left - 1;
  if (byte < 192) return left / 2;
  if (byte < 240) return kBounds[byte & 7];
  return Raw();
}

uint64_t Decoder::Time() {
  const uint8_t byte = Byte();
  switch (byte & 7) {
    case 0:
      return now_;
    case 1:
      return Plus(now_, 1);
    case 2:
      return now_ == 0 ? 0 : now_ - 1;
    case 3:
      return Plus(now_, 1000);
    case 4:
      return 0;
    case 5:
      return kMostNumber;
    case 6:
      return Plus(now_, byte >> 3);
    default:
      return Raw();
  }
}

// Most jumps last for one event; the clock goes on from where it was.
uint64_t Decoder::Clock(const Memory& memory) {
  const uint8_t byte = Byte();
  const auto around = [&](uint64_t edge) {
    return (byte & 3) == 0 ? edge - std::min<uint64_t>(edge, 1) : Plus(edge, (byte & 3) - 1);
  };
  if (byte < 128) return now_ = Plus(now_, byte & 15);
  if (byte < 176) return now_;
  if (byte < 192) return now_ = Plus(now_, 500);
  if (byte < 200) return now_ -= std::min<uint64_t>(now_, byte & 7);
  if (byte < 204) return now_ -= std::min<uint64_t>(now_, 1500);
  if (byte < 220) return around(expiry_);
  if (byte < 230) return around(memory.policy.not_before_ms);
  if (byte < 240) return around(memory.policy.not_after_ms);
  if (byte < 244) return 0;
  if (byte < 248) return kMostNumber;
  if (byte == 248) return now_ = 0;
  if (byte == 249) return now_ = kMostNumber;
  return Time();
}

uint8_t Decoder::Session() {
  const uint8_t byte = Byte();
  return byte < 232 ? byte & 3 : byte & 15;
}

// One word of few values at one place: two such ids are often equal, and often differ in one word.
template <size_t N>
void Decoder::Words(uint64_t (&words)[N]) {
  std::fill(std::begin(words), std::end(words), 0);
  const uint8_t byte = Byte();
  if (byte >= 248) {
    for (uint64_t& word : words) word = Raw();
  } else {
    words[(byte >> 2) % N] = (byte & 3) + 1;
  }
}

template <size_t N>
void Decoder::Disturb(uint64_t (&words)[N]) {
  const uint8_t byte = Byte();
  if (byte < 244) return;
  uint64_t& word = words[byte % N];
  word = word == kMostNumber ? 0 : word + 1;
}

uint32_t Decoder::Levels() {
  constexpr uint32_t kAllAlways = 0xaaaaaaaa;
  static_assert(KRUX_LEVEL_ALWAYS == 2 && KRUX_DIMENSIONS == 16);
  const uint8_t byte = Byte();
  if (byte < 112) return kAllAlways;
  if (byte < 208) {
    const uint8_t which = Byte();
    const uint32_t level = which >> 4 == 15 ? 3 : (which >> 4) % 3;
    const int shift = 2 * (which & 15);
    return (kAllAlways & ~(uint32_t{3} << shift)) | level << shift;
  }
  uint32_t levels = 0;
  for (int i = 0; i < KRUX_DIMENSIONS; i += 2) {
    const uint8_t two = Byte();
    levels |= static_cast<uint32_t>(two % 3 | (two / 3) % 3 << 2) << (2 * i);
    if (two >= 252) levels |= uint32_t{3} << (2 * i);
  }
  return levels;
}

krux_policy Decoder::Policy() {
  krux_policy policy{};
  policy.levels = Levels();
  const uint8_t layers = Byte();
  if (layers >= 208) policy.required_layers = uint32_t{1} << (layers & 31);
  if (layers >= 248) policy.required_layers |= static_cast<uint32_t>(Raw());
  const uint8_t obliged = Byte();
  if (obliged >= 192) policy.obligations = static_cast<uint16_t>(1 << (obliged & 15));
  if (obliged >= 248) policy.obligations |= static_cast<uint16_t>(Raw());
  const uint8_t modes = Byte();
  policy.trifecta = (modes & 3) == 3 ? KRUX_DENY : KRUX_ASK;
  policy.trusted_action = (modes >> 2 & 3) == 3 ? KRUX_DENY : KRUX_ASK;
  if (modes >= 244) (modes & 1 ? policy.trifecta : policy.trusted_action) = Byte();
  const uint8_t depth = Byte();
  policy.depth = depth >= 248 ? Byte() : depth & 3;
  const uint8_t window = Byte();
  policy.not_after_ms = kMostNumber;
  if (window >= 224) (window & 1 ? policy.not_before_ms : policy.not_after_ms) = Time();
  if (window >= 248) policy.not_before_ms = Time();
  return policy;
}

// A policy that differs from this one in at most one field.
krux_policy Decoder::Neighbour(krux_policy policy) {
  const krux_policy fresh = Policy();
  const uint8_t byte = Byte();
  switch (byte & 15) {
    case 0:
      policy.levels = fresh.levels;
      break;
    case 1:
      policy.levels ^= uint32_t{1} << (byte >> 3);
      break;
    case 2:
      policy.required_layers ^= uint32_t{1} << (byte >> 3);
      break;
    case 3:
      policy.obligations ^= static_cast<uint16_t>(1 << (byte >> 4));
      break;
    case 4:
      policy.trifecta = policy.trifecta == KRUX_ASK ? KRUX_DENY : KRUX_ASK;
      break;
    case 5:
      policy.trusted_action = policy.trusted_action == KRUX_ASK ? KRUX_DENY : KRUX_ASK;
      break;
    case 6:
      policy.depth = static_cast<uint8_t>(policy.depth + 1);
      break;
    case 7:
      policy.depth = static_cast<uint8_t>(policy.depth - 1);
      break;
    case 8:
    case 9:
      policy.not_before_ms = Time();
      break;
    case 10:
    case 11:
      policy.not_after_ms = Time();
      break;
    case 12:
      return fresh;
    default:
      break;
  }
  return policy;
}

void Decoder::Limits(uint64_t (&limits)[KRUX_BUDGETS]) {
  const uint8_t byte = Byte();
  std::fill(std::begin(limits), std::end(limits), kMostNumber);
  if (byte >= 192) limits[byte % KRUX_BUDGETS] = Amount(8);
  if (byte < 236) return;
  for (uint64_t& limit : limits) limit = Plus(Amount(100), 1);
  limits[byte % KRUX_BUDGETS] = Byte() & 15;
}

void Decoder::Cost(const Memory& memory, uint64_t (&cost)[KRUX_BUDGETS]) {
  const uint8_t byte = Byte();
  cost[KRUX_BUDGET_CALLS] = byte < 240 ? 1 : 0;
  if (byte < 176) return;
  const int one = byte % KRUX_BUDGETS;
  cost[one] = Amount(memory.left[one]);
  if (byte < 224) return;
  for (int i = 0; i < KRUX_BUDGETS; ++i) cost[i] = i == one ? cost[i] : Byte() & 3;
}

// The sandbox usually fits the call.
void Decoder::Confinement(krux_call& call) {
  krux_footprint& footprint = call.footprint;
  footprint.readable = call.sources & (KRUX_PRIVATE | KRUX_UNTRUSTED);
  footprint.network = call.sink && (call.sources & KRUX_UNTRUSTED) != 0;
  footprint.runs_program = call.dimension == KRUX_DIM_RUN_EXEC;
  footprint.within_grants = true;
  footprint.layers = UINT32_MAX;
  const uint8_t byte = Byte();
  if (byte < 208) return;
  switch (byte & 7) {
    case 0:
      footprint.readable = Byte() & 7;
      break;
    case 1:
      footprint.network = true;
      break;
    case 2:
      footprint.runs_program = true;
      break;
    case 3:
      footprint.within_grants = false;
      break;
    case 4:
      footprint.layers = 0;
      break;
    case 5:
      footprint.layers = static_cast<uint32_t>(Raw());
      break;
    case 6:
      footprint.readable = Byte();
      break;
    default:
      footprint.readable |= KRUX_UNTRUSTED;
      footprint.network = true;
      break;
  }
}

krux_call Decoder::Call(const Memory& memory) {
  const uint8_t again = Byte();
  if (again < (memory.granted ? 240 : 72)) {
    krux_call call = memory.call;
    if (again < 16) Disturb(call.digest);
    if (again < 8) Cost(memory, call.cost);
    return call;
  }
  krux_call call{};
  const uint8_t dimension = Byte();
  call.dimension = dimension & 15;
  if (dimension >= 236) call.dimension = KRUX_DIM_NONE;
  if (dimension >= 252) call.dimension = Byte();
  const uint8_t risk = Byte();
  call.risk = static_cast<uint8_t>(risk >= 200   ? KRUX_RISK_CRITICAL
                                   : risk >= 176 ? KRUX_RISK_ELEVATED
                                                 : KRUX_RISK_LOW);
  if (risk >= 250) call.risk = Byte();
  const uint8_t legs = Byte();
  call.sources = legs & 3;
  call.sink = (legs & 4) != 0;
  if (legs >= 128) call.sources = 0;
  if (legs >= 244) call.sources = Byte();
  const uint8_t flags = Byte();
  call.obliged = flags >= 244;
  call.endorsed = (flags & 7) == 7;
  const uint8_t scopes = Byte();
  call.scopes = call.inside = 1u | 1u << (scopes & 31);
  if (scopes >= 224) call.inside = 1u << (scopes & 7);
  if (scopes >= 236) call.inside = 0;
  if (scopes >= 242) std::swap(call.scopes, call.inside);
  if (scopes >= 250) call.scopes = static_cast<uint32_t>(Raw());
  if (scopes >= 253) call.inside = call.scopes | static_cast<uint32_t>(Raw());
  Confinement(call);
  Cost(memory, call.cost);
  Words(call.digest);
  return call;
}

krux_ticket Decoder::Ticket(const Memory& memory) {
  krux_ticket ticket{};
  const uint8_t kind = Byte();
  ticket.kind = static_cast<uint8_t>((kind & 7) < 4 ? KRUX_TICKET_APPROVE : 2 + (kind & 1));
  if (kind >= 244) ticket.kind = Byte() & 7;
  const uint8_t nonce = Byte();
  ticket.nonce = Plus(memory.last_nonce, 1);
  if (nonce >= 208) ticket.nonce = memory.last_nonce;
  if (nonce >= 220) ticket.nonce = Plus(memory.last_nonce, 2u + (nonce & 3));
  if (nonce >= 236) ticket.nonce = nonce & 15;
  if (nonce >= 254) ticket.nonce = Raw();
  const uint8_t expires = Byte();
  ticket.expires_ms = expires < 192 ? Plus(now_, 1000) : Time();
  Copy(ticket.session, memory.session_id);
  Copy(ticket.policy, memory.policy_id);
  Copy(ticket.digest, memory.call.digest);
  Disturb(ticket.session);
  Disturb(ticket.policy);
  Disturb(ticket.digest);
  return ticket;
}

krux_state Decoder::State(Memory& memory) {
  krux_state state{};
  state.policy = Policy();
  const uint8_t legs = Byte();
  state.exposure = legs >= 250 ? Byte() : legs & 7;
  Limits(state.remaining);
  state.calls = Amount(0);
  Words(state.session);
  Words(state.policy_id);
  Copy(memory.session_id, state.session);
  Copy(memory.policy_id, state.policy_id);
  Copy(memory.left, state.remaining);
  memory.policy = state.policy;
  memory.last_nonce = Byte() & 31;
  memory.call = Call(memory);
  memory.granted = true;
  state.last_nonce = memory.last_nonce;
  // Either a few tickets in any slots, or one in every slot but perhaps one.
  const uint8_t tickets = Byte();
  if (tickets < 160) {
    for (int i = 0; i < (tickets & 3); ++i) {
      krux_ticket& ticket = state.tickets[Byte() & 15];
      ticket = Ticket(memory);
      // One word of ten that is another: each must be compared.
      const uint8_t other = Byte();
      if (other < 60)
        ++(other < 12   ? ticket.session[other % 2]
           : other < 36 ? ticket.policy[other % 4]
                        : ticket.digest[other % 4]);
      if (tickets >= 112) ticket.kind = (tickets & 4) != 0 ? KRUX_TICKET_KINDS : KRUX_TICKET_NONE;
    }
    return state;
  }
  for (uint64_t i = 0; i < KRUX_TICKETS; ++i) {
    krux_ticket& ticket = state.tickets[i];
    ticket.kind = KRUX_TICKET_APPROVE;
    ticket.nonce = i + 1;
    ticket.expires_ms = Plus(now_, 2000);
    Copy(ticket.session, state.session);
    Copy(ticket.policy, state.policy_id);
    ticket.digest[0] = i + 100;
  }
  if (tickets >= 208) state.tickets[tickets & 15] = Ticket(memory);
  memory.last_nonce = state.last_nonce = KRUX_TICKETS;
  return state;
}

uint64_t Decoder::Revoked(const Memory& memory) {
  const uint8_t byte = Byte();
  if (byte < 128) return memory.last_nonce;
  if (byte < 224) return memory.last_nonce - std::min<uint64_t>(memory.last_nonce, byte & 3);
  return byte < 248 ? byte & 15 : Raw();
}

void Decoder::Delegate(Event& event, const Memory& parent) {
  const uint8_t child = Session();
  event.child = child == event.session ? static_cast<uint8_t>((child + 1) % kSessions) : child;
  event.policy = Byte() < 160 ? Policy() : Neighbour(parent.policy);
  const uint8_t byte = Byte();
  for (int i = 0; i < KRUX_BUDGETS; ++i)
    event.amounts[i] = byte < 192 ? parent.left[i] / 2 : parent.left[i] / 16;
  if (byte >= 96) event.amounts[byte % KRUX_BUDGETS] = Amount(parent.left[byte % KRUX_BUDGETS]);
  Words(event.session_id);
  if (Byte() < 96) {
    Copy(event.policy_id, parent.policy_id);
  } else {
    Words(event.policy_id);
  }
  Memory& memory = memory_[event.child];
  memory = {};
  memory.policy = event.policy;
  Copy(memory.session_id, event.session_id);
  Copy(memory.policy_id, event.policy_id);
  Copy(memory.left, event.amounts);
}

void Decoder::Fill(Event& event, Memory& memory) {
  switch (event.kind) {
    case Kind::kBegin:
      memory = {};
      event.policy = memory.policy = Policy();
      Limits(event.amounts);
      Words(event.session_id);
      Words(event.policy_id);
      Copy(memory.left, event.amounts);
      Copy(memory.session_id, event.session_id);
      Copy(memory.policy_id, event.policy_id);
      break;
    case Kind::kLoad:
      event.state = State(memory);
      break;
    case Kind::kCall:
    case Kind::kDecide:
      event.now_ms = Clock(memory);
      event.call = memory.call = Call(memory);
      memory.granted = false;
      if (event.kind == Kind::kDecide) break;
      for (int i = 0; i < KRUX_BUDGETS; ++i)
        memory.left[i] = Take(memory.left[i], event.call.cost[i]);
      break;
    case Kind::kAttenuate:
      event.has_limits = Byte() % 2 != 0;
      event.policy = Byte() < 48 ? Policy() : Neighbour(memory.policy);
      Limits(event.amounts);
      if (Byte() >= 144) Words(memory.policy_id);
      Copy(event.policy_id, memory.policy_id);
      for (int i = 0; event.has_limits && i < KRUX_BUDGETS; ++i)
        memory.left[i] = std::min(memory.left[i], event.amounts[i]);
      break;
    case Kind::kCharge:
      Cost(memory, event.amounts);
      for (int i = 0; i < KRUX_BUDGETS; ++i)
        memory.left[i] = Take(memory.left[i], event.amounts[i]);
      break;
    case Kind::kTaint: {
      const uint8_t legs = Byte();
      event.legs = legs < 192 ? static_cast<uint8_t>(1 << legs % 3) : legs;
      break;
    }
    case Kind::kGrant:
      event.now_ms = Clock(memory);
      event.ticket = Ticket(memory);
      expiry_ = event.ticket.expires_ms;
      memory.granted = true;
      memory.last_nonce = std::max(memory.last_nonce, event.ticket.nonce);
      break;
    case Kind::kRevoke:
      event.nonce = Revoked(memory);
      break;
    case Kind::kDelegate:
      Delegate(event, memory);
      break;
    case Kind::kWithin:
    case Kind::kMeet: {
      event.policy = Policy();
      event.other = Neighbour(event.policy);
      break;
    }
    case Kind::kLockdown:
    case Kind::kEncode:
      break;
  }
}

bool Decoder::Next(Event& event) {
  if (bytes_.empty()) return false;
  event = {};
  event.kind = KindOf(Byte());
  event.session = Session();
  Fill(event, memory_[event.session]);
  return true;
}

}  // namespace krux::diff
