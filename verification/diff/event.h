// One event of the stream on which the policy kernel and its model are compared, its fields as
// data, and its bytes as FORMAT.md lays them out.
//
//   Event event{.kind = Kind::kTaint, .session = 2, .legs = KRUX_PRIVATE};
//   AppendWire(event, stream);
//   for (const Field& field : FieldsOf(event.kind)) field.Get(event, 0);
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "policy/kernel/kernel.h"

namespace krux::diff {

// The tags of FORMAT.md.
enum class Kind : uint8_t {
  kBegin = 1,
  kLoad,
  kCall,
  kDecide,
  kAttenuate,
  kLockdown,
  kCharge,
  kTaint,
  kGrant,
  kRevoke,
  kDelegate,
  kEncode,
  kWithin,
  kMeet,
};
inline constexpr int kKinds = 14;
inline constexpr int kSessions = 16;

// Every field that some kind has; those that the kind has not are zero and mean nothing.
struct Event {
  Kind kind = Kind::kEncode;
  uint8_t session = 0;
  uint8_t child = 0;
  bool has_limits = false;
  uint8_t legs = 0;
  uint64_t now_ms = 0;
  uint64_t nonce = 0;
  krux_policy policy = {};
  krux_policy other = {};
  uint64_t amounts[KRUX_BUDGETS] = {};  // limits, share or cost
  uint64_t session_id[2] = {};
  uint64_t policy_id[4] = {};
  krux_call call = {};
  krux_ticket ticket = {};
  krux_state state = {};
};

// How people write a field.
enum class Style : uint8_t {
  kNumber,
  kBits,
  kBool,
  kDimension,
  kRisk,
  kMode,
  kTicketKind,
  kSession
};

// One field of an event's payload: `count` integers of `width` bytes at `offset` of Event.
struct Field {
  std::string name;
  size_t offset;
  uint8_t width;
  uint8_t count;
  Style style;
  bool big_endian;  // the encoding of a state is, all else is not

  uint64_t Get(const Event& event, int index) const;
  void Set(Event& event, int index, uint64_t value) const;
};

// In the order of the payload.
const std::vector<Field>& FieldsOf(Kind kind);
const char* Name(Kind kind);

inline constexpr char kMagic[] = "KRUXEV01";  // opens a stream

void AppendWire(const Event& event, std::vector<uint8_t>& stream);
// Takes one event off the front of `stream`; false where it is none.
bool TakeWire(std::span<const uint8_t>& stream, Event& event);

}  // namespace krux::diff
