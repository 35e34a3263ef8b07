#include "gateway/supervisor_message.h"

#include <string>

namespace krux::gateway {

cbor::Bytes Encode(const SupervisorMessage& message) {
  switch (message.type) {
    case SupervisorMessage::Type::kReady:
      return cbor::Encode(cbor::Map{{"type", "ready"}});
    case SupervisorMessage::Type::kClients:
      return cbor::Encode(cbor::Map{{"type", "clients"}, {"count", message.count}});
    case SupervisorMessage::Type::kAlive:
      return cbor::Encode(cbor::Map{{"type", "alive"}});
    case SupervisorMessage::Type::kSilent:
      return cbor::Encode(cbor::Map{{"type", "silent"}, {"daemon", message.daemon}});
    case SupervisorMessage::Type::kStop:
      break;
  }
  return cbor::Encode(cbor::Map{{"type", "stop"}});
}

Result<SupervisorMessage> DecodeSupervisorMessage(std::span<const uint8_t> bytes) {
  const cbor::Value value = KRUX_TRY(cbor::Decode(bytes));
  cbor::MapReader reader(value, "supervisor");
  const std::string type = reader.Text("type", 16);
  SupervisorMessage message;
  if (type == "clients") {
    message = {SupervisorMessage::Type::kClients, reader.Uint("count")};
  } else if (type == "stop") {
    message.type = SupervisorMessage::Type::kStop;
  } else if (type == "alive") {
    message.type = SupervisorMessage::Type::kAlive;
  } else if (type == "silent") {
    message.type = SupervisorMessage::Type::kSilent;
    message.daemon = reader.Text("daemon", 32);
  } else if (type != "ready") {
    return Fail(ExitCode::kBadData, "supervisor", "unknown message");
  }
  KRUX_TRY(reader.Finish());
  return message;
}

}  // namespace krux::gateway
