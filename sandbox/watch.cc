#include "sandbox/watch.h"

namespace krux::sandbox {
namespace {

constexpr size_t kMaxSentence = 1024;
constexpr size_t kMaxPath = 4096;

}  // namespace

cbor::Bytes EncodeReport(const WatchReport& report) {
  if (const auto* found = std::get_if<WatchFound>(&report)) {
    return cbor::Encode(cbor::Map{{"type", "found"},
                                  {"path", found->path},
                                  {"device", found->device},
                                  {"inode", found->inode},
                                  {"directory", found->directory}});
  }
  if (std::holds_alternative<WatchEnd>(report)) return cbor::Encode(cbor::Map{{"type", "end"}});
  if (const auto* refused = std::get_if<WatchRefused>(&report)) {
    return cbor::Encode(cbor::Map{
        {"type", "refused"}, {"code", ToInt(refused->code)}, {"message", refused->message}});
  }
  if (const auto* pong = std::get_if<WatchPong>(&report))
    return cbor::Encode(cbor::Map{{"type", "pong"}, {"number", pong->number}});
  return cbor::Encode(
      cbor::Map{{"type", "lost"}, {"message", std::get<WatchLost>(report).message}});
}

Result<WatchReport> DecodeReport(std::span<const uint8_t> bytes) {
  const cbor::Value value = KRUX_TRY(cbor::Decode(bytes));
  cbor::MapReader r(value, "watch");
  const std::string type = r.Text("type", 16);
  WatchReport report;
  if (type == "found") {
    WatchFound found;
    found.path = r.ByteString("path", kMaxPath);
    found.device = r.Uint("device");
    found.inode = r.Uint("inode");
    found.directory = r.Boolean("directory");
    report = std::move(found);
  } else if (type == "end") {
    report = WatchEnd{};
  } else if (type == "refused") {
    WatchRefused refused;
    refused.code = static_cast<ExitCode>(r.Uint("code", 255));
    refused.message = r.Text("message", kMaxSentence);
    report = std::move(refused);
  } else if (type == "pong") {
    report = WatchPong{r.Uint("number")};
  } else if (type == "lost") {
    report = WatchLost{r.Text("message", kMaxSentence)};
  } else {
    return Fail(ExitCode::kBadData, "watch", "unknown report");
  }
  KRUX_TRY(r.Finish());
  return report;
}

Result<std::vector<std::string>> NamesOf(std::string_view path) {
  std::vector<std::string> names;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view name = path.substr(at, end - at);
    if (name.empty() || name == "." || name == "..")
      return Fail(ExitCode::kBadData, "watch", "a path of the watch is not plain");
    names.emplace_back(name);
    at = end + 1;
  }
  return names;
}

}  // namespace krux::sandbox
