// Frames of a segment, as docs/AUDIT_FORMAT.md §2 writes them:
//   83 | 1a crc32c(4) | 5a size(4) record | 5a size(4) openings, or f6
//
//   Frame frame = ParseFrame(rest);
//   if (frame.state == Frame::kGood) rest = rest.subspan(frame.size);
#pragma once

#include <optional>

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
};

Frame ParseFrame(ByteView bytes);
// The offset of the first good frame at or after `from`; bytes.size() where there is none.
size_t FindFrame(ByteView bytes, size_t from);

}  // namespace krux::audit::verify
