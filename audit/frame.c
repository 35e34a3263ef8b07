#include "audit/frame.h"

#include "audit/crc32c.h"

enum { ARRAY_OF_3 = 0x83, UINT_32 = 0x1a, BSTR_32 = 0x5a, CBOR_NULL = 0xf6 };

static void put32(uint8_t* out, uint32_t value) {
  for (int i = 0; i < 4; ++i) out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t* in) {
  return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

size_t krux_frame_heads(const uint8_t* record, size_t record_size, const uint8_t* openings,
                        size_t openings_size, uint8_t head[KRUX_FRAME_HEAD],
                        uint8_t middle[KRUX_FRAME_MIDDLE]) {
  uint32_t crc = krux_crc32c(0, record, record_size);
  if (openings != NULL) crc = krux_crc32c(crc, openings, openings_size);
  head[0] = ARRAY_OF_3;
  head[1] = UINT_32;
  put32(head + 2, crc);
  head[6] = BSTR_32;
  put32(head + 7, (uint32_t)record_size);
  if (openings == NULL) {
    middle[0] = CBOR_NULL;
    return 1;
  }
  middle[0] = BSTR_32;
  put32(middle + 1, (uint32_t)openings_size);
  return KRUX_FRAME_MIDDLE;
}

enum krux_frame_status krux_frame_parse(const uint8_t* bytes, size_t size,
                                        struct krux_frame* frame) {
  if (size < KRUX_FRAME_HEAD) return KRUX_FRAME_CUT;
  if (bytes[0] != ARRAY_OF_3 || bytes[1] != UINT_32 || bytes[6] != BSTR_32) return KRUX_FRAME_BAD;
  frame->record = bytes + KRUX_FRAME_HEAD;
  frame->record_size = get32(bytes + 7);
  frame->openings = NULL;
  frame->openings_size = 0;
  if (frame->record_size > KRUX_FRAME_LIMIT) return KRUX_FRAME_BAD;
  size_t at = KRUX_FRAME_HEAD + frame->record_size;
  if (at >= size) return KRUX_FRAME_CUT;
  if (bytes[at] == CBOR_NULL) {
    at += 1;
  } else if (bytes[at] == BSTR_32) {
    if (size - at < KRUX_FRAME_MIDDLE) return KRUX_FRAME_CUT;
    frame->openings_size = get32(bytes + at + 1);
    if (frame->openings_size > KRUX_FRAME_LIMIT) return KRUX_FRAME_BAD;
    at += KRUX_FRAME_MIDDLE;
    frame->openings = bytes + at;
    if (size - at < frame->openings_size) return KRUX_FRAME_CUT;
    at += frame->openings_size;
  } else {
    return KRUX_FRAME_BAD;
  }
  frame->size = at;
  uint32_t crc = krux_crc32c(0, frame->record, frame->record_size);
  if (frame->openings != NULL) crc = krux_crc32c(crc, frame->openings, frame->openings_size);
  return crc == get32(bytes + 2) ? KRUX_FRAME_OK : KRUX_FRAME_BAD_CRC;
}
