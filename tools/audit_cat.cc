// krux audit cat: every frame that the files of a log hold, as far as it can be read, also where
// `krux audit verify` finds the log damaged. It judges nothing: bytes are decoded and shown.
#include "audit/verify/folder.h"
#include "audit/verify/frame.h"
#include "gateway/client/ensure.h"
#include "tools/command.h"
#include "tools/diagnostic.h"

namespace krux::tools {
namespace {

using audit::verify::ByteView;
using audit::verify::Frame;

constexpr uint64_t kMaxSegment = 1ull << 30;  // bytes; a writer stops at 64 MiB

class Cat {
 public:
  Cat(const Output& out, const CatOptions& options) : out_(out), options_(options) {}

  // Shows the frames of one segment whose records are those of `first` and later. `end`: the first
  // record of the next segment.
  void Segment(const std::string& folder, const std::string& name, uint64_t first, uint64_t end) {
    file_ = name;
    std::vector<uint8_t> bytes;
    if (const std::string why =
            audit::verify::ReadFile(folder + "/" + name, 0, kMaxSegment, &bytes);
        !why.empty()) {
      Damage(0, 0, why);
      return;
    }
    const ByteView all(bytes);
    audit::verify::FrameFinder finder(all);
    uint64_t next = first;
    for (size_t at = 0; at < all.size();) {
      const Frame frame = audit::verify::ParseFrame(all.subspan(at));
      if (frame.state == Frame::kNoFrame) {
        const size_t found = finder.Find(at + 1);
        if (Wanted(next)) Damage(at, found - at, "no frame");
        at = found;
        continue;
      }
      const std::optional<uint64_t> seq = NumberUnderKey(frame.record, 1);
      next = seq.value_or(next);
      if (Wanted(next)) Show(frame, at, next >= end);
      next += 1;
      at += frame.size;
    }
  }

  bool damaged() const { return damaged_; }

 private:
  bool Wanted(uint64_t seq) const { return seq >= options_.from && seq <= options_.to; }

  void Damage(size_t at, size_t bytes, const std::string& why) {
    damaged_ = true;
    if (options_.json_lines) {
      out_.Text("{\"file\":\"" + file_ + "\",\"offset\":" + std::to_string(at) +
                ",\"damaged_bytes\":" + std::to_string(bytes) + "}\n");
    } else {
      out_.Text("/ " + file_ + " at byte " + std::to_string(at) + ": " + std::to_string(bytes) +
                " bytes, " + why + " /\n");
    }
  }

  // `given_up`: it lies behind the place where the next segment begins.
  void Show(const Frame& frame, size_t at, bool given_up) {
    const bool json = options_.json_lines;
    const auto print = [&](ByteView bytes) {
      auto text = json ? DiagnosticJson(bytes) : DiagnosticText(bytes);
      if (text) return json ? *text : "<<" + *text + ">>";
      damaged_ = true;
      return std::string(json ? "\"not CBOR\"" : "/ not CBOR /");
    };
    const bool rotten = frame.state == Frame::kWrongCrc;
    damaged_ |= rotten;
    const std::string record = print(frame.record);
    const std::string openings = frame.openings ? print(*frame.openings) : "null";
    if (json) {
      out_.Text("{\"file\":\"" + file_ + "\",\"offset\":" + std::to_string(at) +
                (rotten ? ",\"wrong_crc\":true" : "") + (given_up ? ",\"given_up\":true" : "") +
                ",\"record\":" + record + ",\"openings\":" + openings + "}\n");
      return;
    }
    out_.Text("/ " + file_ + " at byte " + std::to_string(at) +
              (rotten ? ", its checksum does not match" : "") +
              (given_up ? ", given up by the writer" : "") + " / [" + record + ", " + openings +
              "]\n");
  }

  const Output& out_;
  const CatOptions& options_;
  std::string file_;
  bool damaged_ = false;
};

}  // namespace

int RunAuditCat(const CatOptions& options) {
  const Output out(Format::kTable);
  std::string dir = options.log_dir;
  if (dir.empty()) {
    const Result<gateway::GatewayPaths> paths = gateway::FindGatewayPaths();
    if (!paths) return out.Complain(paths.error());
    dir = paths->audit_dir;
  }
  audit::verify::Folder folder;
  if (const std::string why = audit::verify::OpenFolder(dir, &folder); !why.empty())
    return out.Complain({ExitCode::kNotFound, 0, "read the log", why});
  Cat cat(out, options);
  for (size_t i = 0; i < folder.segments.size(); ++i) {
    const bool last = i + 1 == folder.segments.size();
    const uint64_t end = last ? UINT64_MAX : folder.segments[i + 1].first_seq;
    if (end <= options.from || folder.segments[i].first_seq > options.to) continue;
    cat.Segment(folder.path, folder.segments[i].name, folder.segments[i].first_seq, end);
  }
  if (!cat.damaged()) return 0;
  return out.Complain({ExitCode::kBadData, 0, "read the log",
                       "some bytes are no record; `krux audit verify` says what that means"});
}

}  // namespace krux::tools
