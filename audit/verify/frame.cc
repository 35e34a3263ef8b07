#include "audit/verify/frame.h"

#include <algorithm>

#include "audit/verify/crypto.h"

namespace krux::audit::verify {
namespace {

constexpr size_t kLimit = 60 * 1024;
constexpr size_t kMark = 64;

uint32_t BigEndian(ByteView in) {
  return uint32_t{in[0]} << 24 | uint32_t{in[1]} << 16 | uint32_t{in[2]} << 8 | in[3];
}

// A byte string with a four-byte length at the start of `rest`; steps over it.
std::optional<ByteView> TakeString(ByteView* rest, bool* cut) {
  *cut = rest->size() < 5 && (rest->empty() || (*rest)[0] == 0x5a);
  if (rest->size() < 5 || (*rest)[0] != 0x5a) return std::nullopt;
  const uint32_t size = BigEndian(rest->subspan(1));
  *cut = size <= kLimit && size > rest->size() - 5;
  if (size > kLimit || *cut) return std::nullopt;
  const ByteView content = rest->subspan(5, size);
  *rest = rest->subspan(5 + content.size());
  return content;
}

// The parts of a frame, its checksum unjudged: kWrongCrc, or kNoFrame.
Frame Shape(ByteView bytes, uint32_t* crc) {
  Frame frame;
  ByteView rest = bytes;
  if (rest.size() < 6 || rest[0] != 0x83 || rest[1] != 0x1a) return frame;
  *crc = BigEndian(rest.subspan(2));
  rest = rest.subspan(6);
  const std::optional<ByteView> record = TakeString(&rest, &frame.cut);
  if (record && rest.empty()) frame.cut = true;
  if (!record || rest.empty()) return frame;
  if (rest[0] == 0xf6) {
    rest = rest.subspan(1);
  } else {
    frame.openings = TakeString(&rest, &frame.cut);
    if (!frame.openings) return frame;
  }
  frame.record = *record;
  frame.size = bytes.size() - rest.size();
  frame.state = Frame::kWrongCrc;
  return frame;
}

}  // namespace

Frame ParseFrame(ByteView bytes) {
  uint32_t crc = 0;
  Frame frame = Shape(bytes, &crc);
  if (frame.state == Frame::kNoFrame) return frame;
  if (Crc32c(frame.record, frame.openings.value_or(ByteView())) == crc) frame.state = Frame::kGood;
  return frame;
}

void FrameFinder::Build() {
  marks_.reserve(bytes_.size() / kMark + 1);
  uint32_t state = 0;
  for (size_t at = 0; at < bytes_.size(); ++at) {
    if (at % kMark == 0) marks_.push_back(state);
    state = Crc32cStep(state, bytes_[at]);
  }
  uint32_t power = 1u << 31;
  for (size_t n = 0; n <= kLimit; ++n) {
    powers_.push_back(power);
    power = Crc32cStep(power, 0);
  }
}

uint32_t FrameFinder::StateAt(size_t at) const {
  // The last mark may lie a whole step before the end.
  const size_t mark = std::min(at / kMark, marks_.size() - 1);
  uint32_t state = marks_[mark];
  for (size_t i = mark * kMark; i < at; ++i) state = Crc32cStep(state, bytes_[i]);
  return state;
}

// The register over `part` alone: CRC is linear, so what came before it can be taken out again.
uint32_t FrameFinder::StateOf(ByteView part) const {
  const size_t begin = static_cast<size_t>(part.data() - bytes_.data());
  return StateAt(begin + part.size()) ^ Crc32cTimes(powers_[part.size()], StateAt(begin));
}

bool FrameFinder::IsGood(const Frame& frame, uint32_t crc) const {
  uint32_t state = Crc32cTimes(powers_[frame.record.size()], 0xffffffff) ^ StateOf(frame.record);
  if (frame.openings) {
    state = Crc32cTimes(powers_[frame.openings->size()], state) ^ StateOf(*frame.openings);
  }
  return ~state == crc;
}

size_t FrameFinder::Find(size_t from) {
  for (size_t at = from; at < bytes_.size(); ++at) {
    const auto start =
        std::find(bytes_.begin() + static_cast<std::ptrdiff_t>(at), bytes_.end(), 0x83);
    at = static_cast<size_t>(start - bytes_.begin());
    if (at >= bytes_.size()) break;
    uint32_t crc = 0;
    const Frame frame = Shape(bytes_.subspan(at), &crc);
    if (frame.state == Frame::kNoFrame) continue;
    if (marks_.empty()) Build();
    if (IsGood(frame, crc)) return at;
  }
  return bytes_.size();
}

}  // namespace krux::audit::verify
