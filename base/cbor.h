// Deterministic CBOR (RFC 8949 §4.2.1), C11, no allocation: a writer into the caller's buffer, a
// strict pull reader, and a strict validator. Every packet and every audit record passes here.
//
//   uint8_t out[64];
//   struct krux_cbor_writer w = krux_cbor_writer_at(out, sizeof out);
//   krux_cbor_put_map(&w, 1);             // {"nonce": 7}; keys go in the order of their encoding
//   krux_cbor_put_text(&w, "nonce", 5);
//   krux_cbor_put_uint(&w, 7);
//   if (w.size > w.capacity) ...          // too small; w.size is what it takes
//   krux_cbor_validate(out, w.size, 16);  // KRUX_CBOR_OK
//
// Accepted: unsigned and negative integers, byte strings, UTF-8 text, arrays, maps, false, true,
// null. Refused: floats, undefined and other simple values, tags, indefinite lengths, heads longer
// than needed, map keys that are not strictly ascending in the bytewise order of their encodings,
// text that is not UTF-8, nesting beyond a limit, bytes after the item.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KRUX_CBOR_DEPTH_LIMIT 32  // the most levels a validator can be asked to allow

enum krux_cbor_status {
  KRUX_CBOR_OK = 0,
  KRUX_CBOR_TRUNCATED,      // the bytes end before the item does
  KRUX_CBOR_TRAILING,       // bytes follow the item
  KRUX_CBOR_NOT_MINIMAL,    // a head is longer than its number needs
  KRUX_CBOR_INDEFINITE,     // an indefinite length or a break
  KRUX_CBOR_UNSUPPORTED,    // a float, tag, undefined, other simple value, reserved head
  KRUX_CBOR_BAD_UTF8,       // text that is not UTF-8 (surrogates and overlong forms are not)
  KRUX_CBOR_KEY_ORDER,      // map keys are not sorted
  KRUX_CBOR_DUPLICATE_KEY,  // two equal map keys
  KRUX_CBOR_TOO_DEEP,       // more levels than allowed
};

// One lower-case phrase, for example "map keys are not sorted".
const char* krux_cbor_status_text(enum krux_cbor_status status);

// The numbers are the major types of RFC 8949 §3.1; 7 is split by its three accepted values.
enum krux_cbor_type {
  KRUX_CBOR_UINT = 0,
  KRUX_CBOR_NEGATIVE = 1,
  KRUX_CBOR_BYTES = 2,
  KRUX_CBOR_TEXT = 3,
  KRUX_CBOR_ARRAY = 4,
  KRUX_CBOR_MAP = 5,
  KRUX_CBOR_FALSE = 20,
  KRUX_CBOR_TRUE = 21,
  KRUX_CBOR_NULL = 22,
};

// ---- writing ----

struct krux_cbor_writer {
  uint8_t* out;     // may be null when capacity is 0: then only the size is counted
  size_t capacity;  // bytes of `out`
  size_t size;      // bytes the items take; more than capacity means that they did not fit
};

struct krux_cbor_writer krux_cbor_writer_at(uint8_t* out, size_t capacity);
void krux_cbor_put_uint(struct krux_cbor_writer* w, uint64_t value);
void krux_cbor_put_negative(struct krux_cbor_writer* w, uint64_t n);  // the number -1 - n
void krux_cbor_put_bytes(struct krux_cbor_writer* w, const uint8_t* bytes, size_t size);
void krux_cbor_put_text(struct krux_cbor_writer* w, const char* text, size_t size);
void krux_cbor_put_array(struct krux_cbor_writer* w, uint64_t items);  // then `items` items
void krux_cbor_put_map(struct krux_cbor_writer* w, uint64_t pairs);  // then `pairs` keys and values
void krux_cbor_put_bool(struct krux_cbor_writer* w, bool value);
void krux_cbor_put_null(struct krux_cbor_writer* w);

// ---- reading ----

struct krux_cbor_reader {
  const uint8_t* in;
  size_t size;
  size_t at;  // offset of the next head
};

struct krux_cbor_item {
  enum krux_cbor_type type;
  uint64_t number;      // the value; n of a negative; bytes of a string; items; pairs
  const uint8_t* data;  // content of a string, inside the input; null otherwise
};

struct krux_cbor_reader krux_cbor_reader_at(const uint8_t* in, size_t size);
// Reads one head, and the content where it is a string. Order of map keys and depth are the
// validator's: read only what it accepted. On an error the reader does not move.
enum krux_cbor_status krux_cbor_next(struct krux_cbor_reader* r, struct krux_cbor_item* item);

// Judges exactly one item that fills all `size` bytes, with at most `max_depth` levels of arrays
// and maps (at most KRUX_CBOR_DEPTH_LIMIT).
enum krux_cbor_status krux_cbor_validate(const uint8_t* in, size_t size, unsigned max_depth);
// The same for the item at the start of `in`; `*used` is its size in bytes.
enum krux_cbor_status krux_cbor_validate_first(const uint8_t* in, size_t size, unsigned max_depth,
                                               size_t* used);

bool krux_utf8_valid(const uint8_t* text, size_t size);

#ifdef __cplusplus
}
#endif
