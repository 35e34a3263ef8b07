#include "gateway/supervisor_message.h"

#include <string>

namespace krux::gateway {
namespace {

constexpr size_t kMaxMessage = 8192;  // bytes: a path may be long

}  // namespace

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
    case SupervisorMessage::Type::kReload:
      return cbor::Encode(cbor::Map{{"type", "reload"}, {"tag", message.tag}});
    case SupervisorMessage::Type::kInForce:
      return cbor::Encode(cbor::Map{{"type", "in_force"}, {"epoch", message.epoch}});
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
  } else if (type == "reload") {
    message.type = SupervisorMessage::Type::kReload;
    message.tag = reader.Uint("tag");
  } else if (type == "in_force") {
    message.type = SupervisorMessage::Type::kInForce;
    message.epoch = reader.Uint("epoch");
  } else if (type != "ready") {
    return Fail(ExitCode::kBadData, "supervisor", "unknown message");
  }
  KRUX_TRY(reader.Finish());
  return message;
}

cbor::Bytes Encode(const PoliciesMessage& message) {
  return cbor::Encode(cbor::Map{{"type", "policies"},
                                {"tag", message.tag},
                                {"code", static_cast<uint64_t>(ToInt(message.code))},
                                {"message", message.message}});
}

Result<PoliciesMessage> DecodePoliciesMessage(std::span<const uint8_t> bytes) {
  const cbor::Value value = KRUX_TRY(cbor::Decode(bytes));
  cbor::MapReader reader(value, "policies");
  PoliciesMessage message;
  if (reader.Text("type", 16) != "policies")
    return Fail(ExitCode::kBadData, "supervisor", "unknown message");
  message.tag = reader.Uint("tag");
  // Only "it is well" and "the files are wrong" are said.
  message.code = reader.Uint("code") == 0 ? ExitCode::kOk : ExitCode::kConfig;
  message.message = reader.Text("message", kMaxMessage);
  KRUX_TRY(reader.Finish());
  return message;
}

}  // namespace krux::gateway
