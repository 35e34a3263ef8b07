#include "sandbox/spawn_wire.h"

namespace krux::sandbox::wire {
namespace {

constexpr size_t kMaxNote = 2048;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

cbor::Map EncodeFailed(const Failed& f) {
  return {{"type", "failed"},
          {"tag", f.tag},
          {"call_id", f.call_id},
          {"code", ToInt(f.error.code)},
          {"errno", static_cast<unsigned>(f.error.sys_errno)},
          {"stage", f.error.stage},
          {"message", f.error.message},
          {"layer", f.layer},
          {"receipt", ToValue(f.receipt)}};
}

Result<Event> DecodeFailed(cbor::MapReader& r) {
  Failed f;
  f.tag = r.Uint("tag");
  f.call_id = r.ByteString("call_id", 16);
  f.error.code = static_cast<ExitCode>(r.Uint("code", 255));
  f.error.sys_errno = static_cast<int>(r.Uint("errno", 4095));
  f.error.stage = r.Text("stage");
  f.error.message = r.Text("message");
  f.layer = r.Text("layer");
  const cbor::Value receipt = r.Any("receipt");
  KRUX_TRY(r.Finish());
  f.receipt = KRUX_TRY(ReceiptFromValue(receipt));
  return Event(std::move(f));
}

Result<Event> DecodeDone(cbor::MapReader& r, std::vector<UniqueFd>& fds) {
  Done d;
  d.call_id = r.Fixed("call_id", 16);
  d.end = static_cast<Done::End>(r.Uint("end", static_cast<uint64_t>(Done::End::kSecretLost)));
  d.note = r.Text("note", kMaxNote);
  d.status = static_cast<int>(r.Uint("status", 255));
  d.cpu_us = r.Uint("cpu_us");
  d.wall_us = r.Uint("wall_us");
  d.max_rss_kib = r.Uint("max_rss_kib");
  d.read_bytes = r.Uint("read_bytes");
  d.written_bytes = r.Uint("written_bytes");
  d.pids_refused = r.Boolean("pids_refused");
  const cbor::Value files = r.Any("work_files");
  KRUX_TRY(r.Finish());
  d.work_files = files.integer();
  if (!d.work_files && !files.is_null())
    return Fail(ExitCode::kBadData, "done", "`work_files` is neither a number nor null");
  if (fds.size() != 1) return Fail(ExitCode::kBadData, "done", "`done` must carry one descriptor");
  d.result = std::move(fds[0]);
  return Event(std::move(d));
}

Result<Event> DecodeReady(cbor::MapReader& r, std::vector<UniqueFd>& fds) {
  Ready ready;
  ready.call_id = r.Fixed("call_id", 16);
  const cbor::Value receipt = r.Any("receipt");
  KRUX_TRY(r.Finish());
  if (fds.size() != 1)
    return Fail(ExitCode::kBadData, "ready", "`ready` must carry one descriptor");
  ready.receipt = KRUX_TRY(ReceiptFromValue(receipt));
  ready.pidfd = std::move(fds[0]);
  return Event(std::move(ready));
}

Result<Event> DecodeWork(cbor::MapReader& r) {
  WorkOpened w;
  w.tag = r.Uint("tag");
  w.work_id = r.Uint("work_id");
  w.path = r.Text("path", 4096);
  w.uid = static_cast<uid_t>(r.Uint("uid", UINT32_MAX));
  w.gid = static_cast<gid_t>(r.Uint("gid", UINT32_MAX));
  w.device = r.Uint("device");
  w.inode = r.Uint("inode");
  KRUX_TRY(r.Finish());
  return Event(std::move(w));
}

// The "type" of a packet, read before the schema is known.
std::string TypeOf(const cbor::Value& value) {
  const cbor::Value* type = value.map() != nullptr ? value.map()->Find("type") : nullptr;
  return type != nullptr && type->text() != nullptr ? *type->text() : "";
}

}  // namespace

cbor::Bytes EncodeRequest(const Request& request) {
  return cbor::Encode(std::visit(
      Overloaded{
          [](const OpenWork& q) { return cbor::Map{{"type", "open_work"}, {"tag", q.tag}}; },
          [](const BuildTemplate& q) {
            return cbor::Map{{"type", "template"},
                             {"tag", q.tag},
                             {"work_id", q.work_id},
                             {"spec", ToValue(q.spec)}};
          },
          [](const DropTemplates& q) {
            return cbor::Map{
                {"type", "drop"}, {"session_id", q.session_id}, {"generation", q.generation}};
          },
          [](const SpawnCall& q) {
            return cbor::Map{{"type", "spawn"}, {"spec", ToValue(q.spec)}};
          },
          [](const GoCall& q) { return cbor::Map{{"type", "go"}, {"call_id", q.call_id}}; },
          [](const CancelCall& q) { return cbor::Map{{"type", "cancel"}, {"call_id", q.call_id}}; },
      },
      request));
}

Result<Request> DecodeRequest(std::span<const uint8_t> bytes) {
  const cbor::Value value = KRUX_TRY(cbor::Decode(bytes));
  const std::string type = TypeOf(value);
  cbor::MapReader r(value, type);
  r.Text("type");
  std::optional<Request> request;
  cbor::Value spec;
  if (type == "open_work") {
    request = OpenWork{r.Uint("tag")};
  } else if (type == "template") {
    BuildTemplate q;
    q.tag = r.Uint("tag");
    q.work_id = r.Uint("work_id");
    spec = r.Any("spec");
    q.spec = KRUX_TRY(TemplateSpecFromValue(spec));
    request = std::move(q);
  } else if (type == "drop") {
    DropTemplates q;
    q.session_id = r.Fixed("session_id", 16);
    q.generation = r.Uint("generation");
    request = std::move(q);
  } else if (type == "spawn") {
    spec = r.Any("spec");
    request = SpawnCall{KRUX_TRY(SpecFromValue(spec))};
  } else if (type == "go") {
    request = GoCall{r.Fixed("call_id", 16)};
  } else if (type == "cancel") {
    request = CancelCall{r.Fixed("call_id", 16)};
  } else {
    return Fail(ExitCode::kBadData, "spawnd", "unknown request `" + type + "`");
  }
  KRUX_TRY(r.Finish());
  return std::move(*request);
}

cbor::Bytes EncodeEvent(const Event& event) {
  return cbor::Encode(std::visit(
      Overloaded{
          [](const WorkOpened& w) {
            return cbor::Map{{"type", "work"},     {"tag", w.tag},    {"work_id", w.work_id},
                             {"path", w.path},     {"uid", w.uid},    {"gid", w.gid},
                             {"device", w.device}, {"inode", w.inode}};
          },
          [](const TemplateBuilt& t) {
            return cbor::Map{{"type", "built"}, {"tag", t.tag}, {"idmap", t.idmap}};
          },
          [](const Ready& r) {
            return cbor::Map{
                {"type", "ready"}, {"call_id", r.call_id}, {"receipt", ToValue(r.receipt)}};
          },
          [](const Done& d) {
            return cbor::Map{{"type", "done"},
                             {"call_id", d.call_id},
                             {"end", static_cast<unsigned>(d.end)},
                             {"status", static_cast<unsigned>(d.status)},
                             {"note", d.note},
                             {"cpu_us", d.cpu_us},
                             {"wall_us", d.wall_us},
                             {"max_rss_kib", d.max_rss_kib},
                             {"read_bytes", d.read_bytes},
                             {"written_bytes", d.written_bytes},
                             {"pids_refused", d.pids_refused},
                             {"work_files", d.work_files ? cbor::Value(*d.work_files) : nullptr}};
          },
          [](const Failed& f) { return EncodeFailed(f); },
          [](const MasksLost& m) {
            return cbor::Map{{"type", "masks_lost"},
                             {"tag", m.tag},
                             {"session_id", m.session_id},
                             {"calls", m.calls},
                             {"why", m.why}};
          },
      },
      event));
}

Result<Event> DecodeEvent(Packet packet) {
  const cbor::Value value = KRUX_TRY(cbor::Decode(packet.bytes));
  const std::string type = TypeOf(value);
  cbor::MapReader r(value, type);
  r.Text("type");
  if (type == "work") return DecodeWork(r);
  if (type == "ready") return DecodeReady(r, packet.fds);
  if (type == "done") return DecodeDone(r, packet.fds);
  if (type == "failed") return DecodeFailed(r);
  if (type == "masks_lost") {
    MasksLost lost{r.Uint("tag"), r.Fixed("session_id", 16), r.Uint("calls"),
                   r.Text("why", kMaxNote)};
    KRUX_TRY(r.Finish());
    return Event(std::move(lost));
  }
  if (type == "built") {
    TemplateBuilt built{r.Uint("tag"), r.Text("idmap")};
    KRUX_TRY(r.Finish());
    return Event(std::move(built));
  }
  return Fail(ExitCode::kBadData, "spawn client", "unknown event `" + type + "`");
}

}  // namespace krux::sandbox::wire
