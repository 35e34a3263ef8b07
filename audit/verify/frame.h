// Frames of a segment, as docs/AUDIT_FORMAT.md §2 writes them:
//   83 | 1a crc32c(4) | 5a size(4) record | 5a size(4) openings, or f6
//
//   Frame frame = ParseFrame(rest);
//   if (frame.state == Frame::kGood) rest = rest.subspan(frame.size);
#pragma once

#include <optional>
#include <vector>

#include "audit/verify/cbor.h"

namespace krux::audit::verify {

struct Frame {
  enum State {
    kGood,
    kWrongCrc,  // the shape of a frame, but not the content that was written
    kNoFrame,   // something else, or the bytes end inside it
  };
  State state = kNoFrame;
  ByteView record;
  std::optional<ByteView> openings;
  size_t size = 0;
  bool cut = false;  // kNoFrame because the bytes end inside it
};

Frame ParseFrame(ByteView bytes);

// Finds good frames in damaged bytes, in time that grows with their number and not with what they
// claim: whoever wrote them may have made every twelfth byte the head of a frame of 60 KiB.
class FrameFinder {
 public:
  explicit FrameFinder(ByteView bytes) : bytes_(bytes) {}
  // The offset of the first good frame at or after `from`; bytes.size() where there is none.
  size_t Find(size_t from);

 private:
  void Build();
  uint32_t StateAt(size_t at) const;
  uint32_t StateOf(ByteView part) const;
  bool IsGood(const Frame& frame, uint32_t crc) const;

  ByteView bytes_;
  std::vector<uint32_t> marks_;   // the CRC register after every 64 bytes, from zero
  std::vector<uint32_t> powers_;  // x^(8n) modulo the polynomial
};

}  // namespace krux::audit::verify
