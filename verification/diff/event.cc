#include "verification/diff/event.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace krux::diff {
namespace {

using Fields = std::vector<Field>;

template <typename T>
Field Make(std::string name, size_t offset, const T& member, Style style, bool big_endian) {
  if constexpr (std::is_array_v<T>) {
    return {std::move(name), offset, sizeof(member[0]), std::extent_v<T>, style, big_endian};
  } else {
    return {std::move(name), offset, sizeof(T), 1, style, big_endian};
  }
}

// KRUX_FIELD(policy, levels, kBits): `from` is where the struct begins, its members are named.
#define KRUX_FIELD(type, member, style)                                                 \
  fields.push_back(Make(prefix + #member, from + offsetof(type, member), type{}.member, \
                        Style::style, big_endian))

void PolicyFields(Fields& fields, const std::string& prefix, size_t from, bool big_endian) {
  KRUX_FIELD(krux_policy, levels, kBits);
  KRUX_FIELD(krux_policy, required_layers, kBits);
  KRUX_FIELD(krux_policy, obligations, kBits);
  KRUX_FIELD(krux_policy, trifecta, kMode);
  KRUX_FIELD(krux_policy, trusted_action, kMode);
  KRUX_FIELD(krux_policy, depth, kNumber);
  KRUX_FIELD(krux_policy, not_before_ms, kNumber);
  KRUX_FIELD(krux_policy, not_after_ms, kNumber);
}

void TicketFields(Fields& fields, const std::string& prefix, size_t from, bool big_endian) {
  KRUX_FIELD(krux_ticket, kind, kTicketKind);
  KRUX_FIELD(krux_ticket, nonce, kNumber);
  KRUX_FIELD(krux_ticket, expires_ms, kNumber);
  KRUX_FIELD(krux_ticket, session, kNumber);
  KRUX_FIELD(krux_ticket, policy, kNumber);
  KRUX_FIELD(krux_ticket, digest, kNumber);
}

void FootprintFields(Fields& fields, const std::string& prefix, size_t from, bool big_endian) {
  KRUX_FIELD(krux_footprint, readable, kNumber);
  KRUX_FIELD(krux_footprint, network, kBool);
  KRUX_FIELD(krux_footprint, runs_program, kBool);
  KRUX_FIELD(krux_footprint, within_grants, kBool);
  KRUX_FIELD(krux_footprint, layers, kBits);
}

void CallFields(Fields& fields, size_t from) {
  const std::string prefix = "call.";
  const bool big_endian = false;
  KRUX_FIELD(krux_call, dimension, kDimension);
  KRUX_FIELD(krux_call, risk, kRisk);
  KRUX_FIELD(krux_call, sources, kNumber);
  KRUX_FIELD(krux_call, sink, kBool);
  KRUX_FIELD(krux_call, obliged, kBool);
  KRUX_FIELD(krux_call, endorsed, kBool);
  KRUX_FIELD(krux_call, scopes, kBits);
  KRUX_FIELD(krux_call, inside, kBits);
  FootprintFields(fields, "footprint.", from + offsetof(krux_call, footprint), big_endian);
  KRUX_FIELD(krux_call, cost, kNumber);
  KRUX_FIELD(krux_call, digest, kNumber);
}

void StateFields(Fields& fields, size_t from) {
  const std::string prefix = "state.";
  const bool big_endian = true;
  PolicyFields(fields, prefix, from + offsetof(krux_state, policy), big_endian);
  KRUX_FIELD(krux_state, exposure, kNumber);
  KRUX_FIELD(krux_state, remaining, kNumber);
  KRUX_FIELD(krux_state, calls, kNumber);
  KRUX_FIELD(krux_state, session, kNumber);
  KRUX_FIELD(krux_state, policy_id, kNumber);
  KRUX_FIELD(krux_state, last_nonce, kNumber);
  for (size_t i = 0; i < KRUX_TICKETS; ++i) {
    TicketFields(fields, "ticket" + std::to_string(i) + ".",
                 from + offsetof(krux_state, tickets) + i * sizeof(krux_ticket), big_endian);
  }
}

Fields Build(Kind kind) {
  Fields fields;
  const std::string prefix;
  const size_t from = 0;
  const bool big_endian = false;
  const auto policy = [&] { PolicyFields(fields, "policy.", offsetof(Event, policy), false); };
  const auto ids = [&] {
    KRUX_FIELD(Event, session_id, kNumber);
    KRUX_FIELD(Event, policy_id, kNumber);
  };
  switch (kind) {
    case Kind::kBegin:
      policy();
      KRUX_FIELD(Event, amounts, kNumber);
      ids();
      break;
    case Kind::kLoad:
      StateFields(fields, offsetof(Event, state));
      break;
    case Kind::kCall:
    case Kind::kDecide:
      KRUX_FIELD(Event, now_ms, kNumber);
      CallFields(fields, offsetof(Event, call));
      break;
    case Kind::kAttenuate:
      KRUX_FIELD(Event, has_limits, kBool);
      policy();
      KRUX_FIELD(Event, amounts, kNumber);
      KRUX_FIELD(Event, policy_id, kNumber);
      break;
    case Kind::kCharge:
      KRUX_FIELD(Event, amounts, kNumber);
      break;
    case Kind::kTaint:
      KRUX_FIELD(Event, legs, kNumber);
      break;
    case Kind::kGrant:
      KRUX_FIELD(Event, now_ms, kNumber);
      TicketFields(fields, "ticket.", offsetof(Event, ticket), false);
      break;
    case Kind::kRevoke:
      KRUX_FIELD(Event, nonce, kNumber);
      break;
    case Kind::kDelegate:
      KRUX_FIELD(Event, child, kSession);
      policy();
      KRUX_FIELD(Event, amounts, kNumber);
      ids();
      break;
    case Kind::kWithin:
    case Kind::kMeet:
      policy();
      PolicyFields(fields, "other.", offsetof(Event, other), false);
      break;
    case Kind::kLockdown:
    case Kind::kEncode:
      break;
  }
  return fields;
}
#undef KRUX_FIELD

}  // namespace

uint64_t Field::Get(const Event& event, int index) const {
  const auto* at = reinterpret_cast<const uint8_t*>(&event) + offset + index * width;
  uint64_t value = 0;
  std::memcpy(&value, at, width);
  return value;
}

void Field::Set(Event& event, int index, uint64_t value) const {
  auto* at = reinterpret_cast<uint8_t*>(&event) + offset + index * width;
  std::memcpy(at, &value, width);
}

const std::vector<Field>& FieldsOf(Kind kind) {
  static const auto tables = [] {
    std::array<Fields, kKinds + 1> all;
    for (int i = 1; i <= kKinds; ++i) all[i] = Build(static_cast<Kind>(i));
    return all;
  }();
  return tables[static_cast<int>(kind)];
}

const char* Name(Kind kind) {
  static const char* const kNames[] = {"",          "begin",    "load",   "call",   "decide",
                                       "attenuate", "lockdown", "charge", "taint",  "grant",
                                       "revoke",    "delegate", "encode", "within", "meet"};
  static_assert(std::size(kNames) == kKinds + 1);
  return kNames[static_cast<int>(kind)];
}

void AppendWire(const Event& event, std::vector<uint8_t>& stream) {
  stream.push_back(static_cast<uint8_t>(event.kind));
  stream.push_back(event.session);
  for (const Field& field : FieldsOf(event.kind)) {
    for (int i = 0; i < field.count; ++i) {
      const uint64_t value = field.Get(event, i);
      for (int byte = 0; byte < field.width; ++byte) {
        const int shift = 8 * (field.big_endian ? field.width - 1 - byte : byte);
        stream.push_back(static_cast<uint8_t>(value >> shift));
      }
    }
  }
}

bool TakeWire(std::span<const uint8_t>& stream, Event& event) {
  if (stream.size() < 2 || stream[0] < 1 || stream[0] > kKinds || stream[1] >= kSessions)
    return false;
  const auto kind = static_cast<Kind>(stream[0]);
  // The state is by far the largest part, and only one kind reads it.
  if (kind == Kind::kLoad || event.kind == Kind::kLoad) event.state = {};
  event.kind = kind;
  event.session = stream[1];
  stream = stream.subspan(2);
  for (const Field& field : FieldsOf(kind)) {
    const size_t bytes = size_t{field.width} * field.count;
    if (stream.size() < bytes) return false;
    for (int i = 0; i < field.count; ++i) {
      uint64_t value = 0;
      for (int byte = 0; byte < field.width; ++byte) {
        const int shift = 8 * (field.big_endian ? field.width - 1 - byte : byte);
        value |= static_cast<uint64_t>(stream[i * field.width + byte]) << shift;
      }
      if (field.style == Style::kBool && value > 1) return false;
      field.Set(event, i, value);
    }
    stream = stream.subspan(bytes);
  }
  return kind != Kind::kDelegate || (event.child < kSessions && event.child != event.session);
}

}  // namespace krux::diff
