// SupervisorMessage: what kruxd tells its supervisor, each a one-way packet.
//
//   control.Send(Encode(SupervisorMessage{SupervisorMessage::Type::kClients, 1}));
//   SupervisorMessage message = KRUX_TRY(DecodeSupervisorMessage(packet.bytes));
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/cbor_value.h"

namespace krux::gateway {

struct SupervisorMessage {
  enum class Type : uint8_t {
    kReady,    // {"type":"ready"}: the doors are served
    kClients,  // {"type":"clients","count":uint}: it became, or ceased to be, zero
    kStop,     // {"type":"stop"}: an operator asked for the end at admin.sock
    kAlive,    // {"type":"alive"}: every few seconds
    kSilent,   // {"type":"silent","daemon":text}: it answers nothing any more
    kReload,  // {"type":"reload","tag":uint}: an operator asks for the policy files as they are now
    kInForce,  // {"type":"in_force","epoch":uint}: the policies that came first of those without an
               // answer are in force; an epoch of 0: they were refused
  };
  Type type = Type::kReady;
  uint64_t count = 0;
  std::string daemon = {};
  uint64_t tag = 0;
  uint64_t epoch = 0;
};

// What the supervisor tells kruxd: the policy files as they are now, with a parcel
// (gateway/policy_parcel.h), or why they could not be read, without.
// {"type":"policies","tag":uint,"code":uint,"message":text}
struct PoliciesMessage {
  uint64_t tag = 0;  // of kReload; 0 where the operator asked the supervisor (SIGHUP)
  ExitCode code = ExitCode::kOk;
  std::string message = {};
};

cbor::Bytes Encode(const SupervisorMessage& message);
Result<SupervisorMessage> DecodeSupervisorMessage(std::span<const uint8_t> bytes);
cbor::Bytes Encode(const PoliciesMessage& message);
Result<PoliciesMessage> DecodePoliciesMessage(std::span<const uint8_t> bytes);

}  // namespace krux::gateway
