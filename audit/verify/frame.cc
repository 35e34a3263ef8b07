#include "audit/verify/frame.h"

#include <algorithm>

#include "audit/verify/crypto.h"

namespace krux::audit::verify {
namespace {

constexpr size_t kLimit = 60 * 1024;

uint32_t BigEndian(ByteView in) {
  return uint32_t{in[0]} << 24 | uint32_t{in[1]} << 16 | uint32_t{in[2]} << 8 | in[3];
}

// A byte string with a four-byte length at the start of `rest`; steps over it.
std::optional<ByteView> TakeString(ByteView* rest) {
  if (rest->size() < 5 || (*rest)[0] != 0x5a) return std::nullopt;
  const uint32_t size = BigEndian(rest->subspan(1));
  if (size > kLimit || size > rest->size() - 5) return std::nullopt;
  const ByteView content = rest->subspan(5, size);
  *rest = rest->subspan(5 + content.size());
  return content;
}

}  // namespace

Frame ParseFrame(ByteView bytes) {
  Frame frame;
  ByteView rest = bytes;
  if (rest.size() < 6 || rest[0] != 0x83 || rest[1] != 0x1a) return frame;
  const uint32_t crc = BigEndian(rest.subspan(2));
  rest = rest.subspan(6);
  const std::optional<ByteView> record = TakeString(&rest);
  if (!record || rest.empty()) return frame;
  if (rest[0] == 0xf6) {
    rest = rest.subspan(1);
  } else {
    frame.openings = TakeString(&rest);
    if (!frame.openings) return frame;
  }
  frame.record = *record;
  frame.size = bytes.size() - rest.size();
  const bool good = Crc32c(*record, frame.openings.value_or(ByteView())) == crc;
  frame.state = good ? Frame::kGood : Frame::kWrongCrc;
  return frame;
}

size_t FindFrame(ByteView bytes, size_t from) {
  for (size_t at = from; at < bytes.size(); ++at) {
    const auto start =
        std::find(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end(), 0x83);
    at = static_cast<size_t>(start - bytes.begin());
    if (at < bytes.size() && ParseFrame(bytes.subspan(at)).state == Frame::kGood) return at;
  }
  return bytes.size();
}

}  // namespace krux::audit::verify
