#include "sandbox/mount_wire.h"

#include <optional>

namespace krux::sandbox::mountwire {
namespace {

std::string TypeOf(const cbor::Value& value) {
  const cbor::Value* type = value.map() != nullptr ? value.map()->Find("type") : nullptr;
  return type != nullptr && type->text() != nullptr ? *type->text() : "";
}

Result<std::vector<Mounts::Tree>> TreesFromArray(const cbor::Array& list) {
  std::vector<Mounts::Tree> trees;
  for (const cbor::Value& item : list) {
    cbor::MapReader r(item, "tree");
    Mounts::Tree tree;
    tree.path = r.Text("path", 4096);
    tree.kind = r.Text("kind", 16);
    tree.target = r.Text("target", 4096);
    KRUX_TRY(r.Finish());
    trees.push_back(std::move(tree));
  }
  return trees;
}

}  // namespace

cbor::Bytes EncodeRequest(const Request& request) {
  if (std::holds_alternative<Join>(request)) return cbor::Encode(cbor::Map{{"type", "join"}});
  if (const auto* open = std::get_if<OpenWork>(&request)) {
    return cbor::Encode(cbor::Map{{"type", "open_work"}, {"tag", open->tag}});
  }
  const auto& get = std::get<GetMounts>(request);
  cbor::Array trees;
  for (const std::string& tree : get.trees) trees.emplace_back(tree);
  return cbor::Encode(cbor::Map{{"type", "get_mounts"},
                                {"tag", get.tag},
                                {"work_id", get.work_id},
                                {"writable", get.writable},
                                {"exec", get.exec},
                                {"trees", std::move(trees)}});
}

Result<Request> DecodeRequest(std::span<const uint8_t> bytes) {
  const cbor::Value value = KRUX_TRY(cbor::Decode(bytes));
  const std::string type = TypeOf(value);
  cbor::MapReader r(value, type);
  r.Text("type");
  std::optional<Request> request;
  if (type == "join") {
    request = Join{};
  } else if (type == "open_work") {
    request = OpenWork{r.Uint("tag")};
  } else if (type == "get_mounts") {
    GetMounts get;
    get.tag = r.Uint("tag");
    get.work_id = r.Uint("work_id");
    get.writable = r.Boolean("writable");
    get.exec = r.Boolean("exec");
    for (const cbor::Value& tree : r.List("trees", 32)) {
      if (tree.text() == nullptr)
        return Fail(ExitCode::kBadData, "mountd", "program tree is not text");
      get.trees.push_back(*tree.text());
    }
    request = std::move(get);
  } else {
    return Fail(ExitCode::kBadData, "mountd", "unknown request `" + type + "`");
  }
  KRUX_TRY(r.Finish());
  return std::move(*request);
}

cbor::Bytes EncodeReply(const Reply& reply) {
  if (std::holds_alternative<Joined>(reply)) return cbor::Encode(cbor::Map{{"type", "joined"}});
  if (const auto* w = std::get_if<Work>(&reply)) {
    return cbor::Encode(cbor::Map{{"type", "work"},
                                  {"tag", w->tag},
                                  {"work_id", w->work_id},
                                  {"path", w->path},
                                  {"uid", w->uid},
                                  {"gid", w->gid},
                                  {"device", w->device},
                                  {"inode", w->inode}});
  }
  if (const auto* m = std::get_if<Mounts>(&reply)) {
    cbor::Array trees;
    for (const Mounts::Tree& t : m->trees) {
      trees.emplace_back(cbor::Map{{"path", t.path}, {"kind", t.kind}, {"target", t.target}});
    }
    return cbor::Encode(cbor::Map{{"type", "mounts"},
                                  {"tag", m->tag},
                                  {"idmap", m->idmap},
                                  {"disk", m->disk},
                                  {"trees", std::move(trees)}});
  }
  const auto& refused = std::get<Refused>(reply);
  return cbor::Encode(cbor::Map{{"type", "refused"},
                                {"tag", refused.tag},
                                {"code", ToInt(refused.error.code)},
                                {"errno", static_cast<unsigned>(refused.error.sys_errno)},
                                {"stage", refused.error.stage},
                                {"message", refused.error.message}});
}

Result<Reply> DecodeReply(std::span<const uint8_t> bytes) {
  const cbor::Value value = KRUX_TRY(cbor::Decode(bytes));
  const std::string type = TypeOf(value);
  cbor::MapReader r(value, type);
  r.Text("type");
  std::optional<Reply> reply;
  if (type == "joined") {
    reply = Joined{};
  } else if (type == "work") {
    Work w;
    w.tag = r.Uint("tag");
    w.work_id = r.Uint("work_id");
    w.path = r.Text("path", 4096);
    w.uid = r.Uint("uid", UINT32_MAX);
    w.gid = r.Uint("gid", UINT32_MAX);
    w.device = r.Uint("device");
    w.inode = r.Uint("inode");
    reply = std::move(w);
  } else if (type == "mounts") {
    Mounts m;
    m.tag = r.Uint("tag");
    m.idmap = r.Text("idmap", 16);
    m.disk = r.Text("disk", 32);
    m.trees = KRUX_TRY(TreesFromArray(r.List("trees", 32)));
    reply = std::move(m);
  } else if (type == "refused") {
    Refused refused;
    refused.tag = r.Uint("tag");
    refused.error.code = static_cast<ExitCode>(r.Uint("code", 255));
    refused.error.sys_errno = static_cast<int>(r.Uint("errno", 4095));
    refused.error.stage = r.Text("stage");
    refused.error.message = r.Text("message");
    reply = std::move(refused);
  } else {
    return Fail(ExitCode::kBadData, "mountd", "unknown reply `" + type + "`");
  }
  KRUX_TRY(r.Finish());
  return std::move(*reply);
}

}  // namespace krux::sandbox::mountwire
