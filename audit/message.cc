#include "audit/message.h"

#include "audit/carry.h"
#include "audit/hash.h"
#include "audit/schema.h"
#include "base/channel.h"

namespace krux::audit {
namespace {

constexpr size_t kMaxError = 1024;  // bytes of an error text in an ack
constexpr size_t kIdBytes = 16;

Result<Request> DecodeAppend(cbor::MapReader* reader, uint64_t tag) {
  AppendRequest request{tag, {}};
  const uint64_t kind = reader->Uint("kind", static_cast<uint64_t>(Kind::kGrant));
  request.draft.kind = static_cast<Kind>(kind);
  request.draft.body = reader->Submap("body");
  request.draft.openings = reader->Any("openings");
  KRUX_TRY(reader->Finish());
  if (!MayBeAppended(request.draft.kind)) {
    return Fail(
        ExitCode::kBadData, "audit record",
        std::string("kind `") + Name(request.draft.kind) + "` may not come over the channel");
  }
  // What a segment begins with follows from the records before it, and is krux-auditd's to say.
  if (IsCarried(request.draft.kind, request.draft.body)) {
    return Fail(ExitCode::kBadData, "audit record",
                "event `carried` may not come over the channel");
  }
  return request;
}

}  // namespace

cbor::Bytes EncodeAppend(uint64_t tag, const Draft& draft) {
  return cbor::Encode(cbor::Map{{"type", "append"},
                                {"tag", tag},
                                {"kind", static_cast<unsigned>(draft.kind)},
                                {"body", draft.body},
                                {"openings", draft.openings}});
}

cbor::Bytes EncodePolicy(uint64_t tag, std::span<const uint8_t> text) {
  return cbor::Encode(cbor::Map{{"type", "policy"}, {"tag", tag}, {"text", text}});
}

cbor::Bytes EncodeCheckpoint(uint64_t tag) {
  return cbor::Encode(cbor::Map{{"type", "checkpoint"}, {"tag", tag}});
}

cbor::Bytes EncodeRestore(uint64_t tag, const cbor::Bytes& after) {
  return cbor::Encode(cbor::Map{{"type", "restore"}, {"tag", tag}, {"after", after}});
}

cbor::Bytes EncodeRecall(uint64_t tag, const cbor::Bytes& hash) {
  return cbor::Encode(cbor::Map{{"type", "recall"}, {"tag", tag}, {"hash", hash}});
}

cbor::Bytes EncodeAck(const Ack& ack) {
  cbor::Map map{{"type", "ack"},
                {"tag", ack.tag},
                {"seq", ack.seq},
                {"error", ack.error.substr(0, kMaxError)}};
  if (!ack.data.is_null()) map.Set("data", ack.data);
  return cbor::Encode(map);
}

Result<Request> DecodeRequest(std::span<const uint8_t> bytes, uint64_t* tag) {
  *tag = 0;
  const cbor::Value value = KRUX_TRY(cbor::Decode(bytes, kMaxPacket));
  if (const cbor::Map* map = value.map(); map != nullptr) {
    const cbor::Value* found = map->Find("tag");
    if (found != nullptr && found->uint() != nullptr) *tag = *found->uint();
  }
  cbor::MapReader reader(value, "request");
  const std::string type = reader.Text("type", 32);
  reader.Uint("tag");
  if (type == "append") return DecodeAppend(&reader, *tag);
  if (type == "policy") {
    PolicyRequest request{*tag, reader.ByteString("text")};
    KRUX_TRY(reader.Finish());
    return request;
  }
  if (type == "checkpoint") {
    KRUX_TRY(reader.Finish());
    return CheckpointRequest{*tag};
  }
  if (type == "restore") {
    RestoreRequest request{*tag, reader.ByteString("after", kIdBytes)};
    KRUX_TRY(reader.Finish());
    return request;
  }
  if (type == "recall") {
    RecallRequest request{*tag, reader.Fixed("hash", kHashBytes)};
    KRUX_TRY(reader.Finish());
    return request;
  }
  return Fail(ExitCode::kBadData, "audit request", "unknown request type");
}

Result<Ack> DecodeAck(std::span<const uint8_t> bytes) {
  const cbor::Value value = KRUX_TRY(cbor::Decode(bytes, kMaxPacket));
  cbor::MapReader reader(value, "ack");
  Ack ack;
  const std::string type = reader.Text("type", 32);
  ack.tag = reader.Uint("tag");
  ack.seq = reader.Uint("seq");
  ack.error = reader.Text("error");
  if (reader.Has("data")) ack.data = reader.Any("data");
  KRUX_TRY(reader.Finish());
  if (type != "ack") return Fail(ExitCode::kBadData, "audit ack", "the answer is not an ack");
  return ack;
}

}  // namespace krux::audit
