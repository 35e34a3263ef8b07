// The packets between a SpawnClient and krux-spawnd: one truth for both ends. docs/PROTOCOL.md
// words them. A request is {"type", …}; descriptors ride in the order given here.
#pragma once

#include "sandbox/client.h"

namespace krux::sandbox::wire {

struct OpenWork {
  uint64_t tag = 0;
};  // + 1 fd: the client's socketpair end
struct BuildTemplate {
  uint64_t tag = 0;
  uint64_t work_id = 0;
  TemplateSpec spec;
};
struct DropTemplates {
  cbor::Bytes session_id;
  uint64_t generation = 0;
};
struct SpawnCall {
  Spec spec;
};  // + 1 fd where Spec::has_input: the sealed memfd
struct GoCall {
  cbor::Bytes call_id;
};
struct CancelCall {
  cbor::Bytes call_id;
};
using Request = std::variant<OpenWork, BuildTemplate, DropTemplates, SpawnCall, GoCall, CancelCall>;

cbor::Bytes EncodeRequest(const Request& request);
Result<Request> DecodeRequest(std::span<const uint8_t> bytes);

// Events. Ready carries 1 fd (pidfd), Done 1 fd (result memfd), the others none.
cbor::Bytes EncodeEvent(const Event& event);
Result<Event> DecodeEvent(Packet packet);

}  // namespace krux::sandbox::wire
