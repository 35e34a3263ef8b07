// A frame of a segment: the CBOR array [crc32c, bstr record, bstr openings | null] with heads of
// fixed width, so that a segment is a CBOR sequence (RFC 8742) and a frame can be found by its
// start:
//
//   83 | 1a crc32c(4) | 5a size(4) record | 5a size(4) openings, or f6
//
// CRC-32C covers the record and, where there are some, the openings. C11, no allocation.
//
//   uint8_t head[KRUX_FRAME_HEAD], middle[KRUX_FRAME_MIDDLE];
//   size_t middle_size = krux_frame_heads(record, record_size, openings, openings_size, head,
//   middle);
//   // on disk: head, record, middle (5 bytes, or 1 without openings), openings
//
//   struct krux_frame frame;
//   if (krux_frame_parse(bytes, size, &frame) == KRUX_FRAME_OK) ... // frame.size bytes were used
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  KRUX_FRAME_HEAD = 11,
  KRUX_FRAME_MIDDLE = 5,
  KRUX_FRAME_LIMIT = 60 * 1024,  // bytes a record, or its openings, may have
};

struct krux_frame {
  const uint8_t* record;
  size_t record_size;
  const uint8_t* openings;  // null where the frame has none
  size_t openings_size;
  size_t size;  // of the whole frame
};

enum krux_frame_status {
  KRUX_FRAME_OK = 0,
  KRUX_FRAME_CUT,      // the bytes end inside the frame
  KRUX_FRAME_BAD,      // not a frame
  KRUX_FRAME_BAD_CRC,  // a frame by its shape; `frame` is filled, the content is not what was
                       // written
};

size_t krux_frame_heads(const uint8_t* record, size_t record_size, const uint8_t* openings,
                        size_t openings_size, uint8_t head[KRUX_FRAME_HEAD],
                        uint8_t middle[KRUX_FRAME_MIDDLE]);
enum krux_frame_status krux_frame_parse(const uint8_t* bytes, size_t size,
                                        struct krux_frame* frame);

#ifdef __cplusplus
}
#endif
