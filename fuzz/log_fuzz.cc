// The log's readers: krux-auditd at start, krux-verify, and what `krux audit` prints. The first
// byte chooses what the rest is:
//   0  a segment, byte for byte
//   1  records, each with two bytes of length before it, framed with correct checksums
//   2  edits of a good, signed log: offset (2 bytes), then what is XORed onto the byte there
// Nothing unsigned is ever judged ok, and no change of a signed log is.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "audit/recovery.h"
#include "audit/segment.h"
#include "audit/verify/reader.h"
#include "audit/verify/verify.h"
#include "fuzz/target.h"
#include "tests/audit/log_fixture.h"
#include "tools/record_text.h"

namespace krux::audit {
namespace {

using View = std::span<const uint8_t>;
constexpr size_t kMaxInput = 64 * 1024;

// A folder that looks like a log's and gets one segment after the other.
class Bench {
 public:
  Bench() : folder_(TestFolder::kMemory) {
    // A real log gives the folder, the key and the good segment.
    TestFolder made(TestFolder::kMemory);
    auto log = Log::Open(made.Options());
    KRUX_HOLDS(log.has_value());
    for (uint8_t call = 1; call <= 4; ++call) {
      const Draft intent = IntentDraft(call);
      const uint64_t seq = (*log)->Append(std::span(&intent, 1)).front().seq;
      const Draft outcome = OutcomeDraft(call, seq);
      KRUX_HOLDS((*log)->Append(std::span(&outcome, 1)).front().error.empty());
    }
    KRUX_HOLDS((*log)->Checkpoint().has_value());
    log->reset();
    made.CopyTo(folder_);  // without the flag that makes the files append-only
    KRUX_HOLDS(folder_.Verify().exit == verify::kOk);
    good_ = ReadBytes(folder_.SegmentPath(0));
    checkpoints_ = ReadBytes(folder_.log_folder() + "/checkpoints");
    dir_ = UniqueFd(open(folder_.log_folder().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    KRUX_HOLDS(dir_.valid());
  }

  void Unsigned(View segment) {
    Put("checkpoints", {});
    Put(SegmentName(0).c_str(), segment);
    KRUX_HOLDS(folder_.Verify().exit != verify::kOk);
    Recover();
    Print();
    Sweep();
  }

  void Edited(View edits) {
    std::vector<uint8_t> segment = good_;
    for (; edits.size() >= 3; edits = edits.subspan(3)) {
      const size_t offset = (size_t{edits[0]} << 8 | edits[1]) % segment.size();
      segment[offset] ^= edits[2];
    }
    Put("checkpoints", checkpoints_);
    Put(SegmentName(0).c_str(), segment);
    KRUX_HOLDS((folder_.Verify().exit == verify::kOk) == (segment == good_));
    Recover();
    Print();
    Sweep();
  }

 private:
  void Put(const char* name, View bytes) {
    const UniqueFd fd(openat(dir_.get(), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    KRUX_HOLDS(fd.valid());
    KRUX_HOLDS(write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }

  void Recover() {
    const auto state = ReadLogState(SystemIo(), dir_.get(), Id(1), std::nullopt);
    if (!state) KRUX_HOLDS(state.error().code == ExitCode::kAudit);
  }

  // Every record that can be framed is printed: what a person sees holds no control character.
  void Print() {
    verify::LogReader reader(folder_.log_dir());
    verify::RecordView view;
    while (reader.Next(&view)) {
      const auto named = tools::NamedRecord(view);
      if (!named) continue;
      for (const char c : tools::RecordLine(*named))
        KRUX_HOLDS(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    }
  }

  // What recovery put aside.
  void Sweep() {
    for (const std::string& name : folder_.Names("torn-")) unlinkat(dir_.get(), name.c_str(), 0);
  }

  TestFolder folder_;
  std::vector<uint8_t> good_, checkpoints_;
  UniqueFd dir_;
};

std::vector<uint8_t> Framed(View records) {
  std::vector<uint8_t> segment;
  while (records.size() > 2) {
    const size_t wanted = size_t{records[0]} << 8 | records[1];
    const size_t size = std::min(wanted, records.size() - 2);
    const cbor::Bytes frame = MakeFrame(records.subspan(2, size), {});
    segment.insert(segment.end(), frame.begin(), frame.end());
    records = records.subspan(2 + size);
  }
  return segment;
}

}  // namespace
}  // namespace krux::audit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace krux::audit;
  // Lives as long as the process: it is the file system side of every run.
  static Bench bench;
  if (size < 1 || size > kMaxInput) return 0;
  const View rest(data + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      bench.Unsigned(rest);
      break;
    case 1:
      bench.Unsigned(Framed(rest));
      break;
    default:
      bench.Edited(rest);
  }
  return 0;
}
