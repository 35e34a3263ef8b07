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
  };
  Type type = Type::kReady;
  uint64_t count = 0;
  std::string daemon = {};
};

cbor::Bytes Encode(const SupervisorMessage& message);
Result<SupervisorMessage> DecodeSupervisorMessage(std::span<const uint8_t> bytes);

}  // namespace krux::gateway
