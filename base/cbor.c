#include "base/cbor.h"

#include <string.h>

const char* krux_cbor_status_text(enum krux_cbor_status status) {
  switch (status) {
    case KRUX_CBOR_OK:
      return "ok";
    case KRUX_CBOR_TRUNCATED:
      return "the item is cut off";
    case KRUX_CBOR_TRAILING:
      return "bytes follow the item";
    case KRUX_CBOR_NOT_MINIMAL:
      return "a number is not in its shortest form";
    case KRUX_CBOR_INDEFINITE:
      return "a length is indefinite";
    case KRUX_CBOR_UNSUPPORTED:
      return "a float, tag or simple value that is not accepted";
    case KRUX_CBOR_BAD_UTF8:
      return "text is not UTF-8";
    case KRUX_CBOR_KEY_ORDER:
      return "map keys are not sorted";
    case KRUX_CBOR_DUPLICATE_KEY:
      return "a map key is there twice";
    case KRUX_CBOR_TOO_DEEP:
      return "it is nested too deeply";
  }
  return "unknown";
}

// ---- writing ----

struct krux_cbor_writer krux_cbor_writer_at(uint8_t* out, size_t capacity) {
  struct krux_cbor_writer w = {out, capacity, 0};
  return w;
}

// Once something did not fit, nothing more is written, but the count goes on. It saturates, so that
// an absurd size still reads as "did not fit".
static void put(struct krux_cbor_writer* w, const uint8_t* bytes, size_t size) {
  if (w->size <= w->capacity && size <= w->capacity - w->size && size > 0) {
    memcpy(w->out + w->size, bytes, size);
  }
  w->size = size > SIZE_MAX - w->size ? SIZE_MAX : w->size + size;
}

static void put_head(struct krux_cbor_writer* w, uint8_t major, uint64_t number) {
  uint8_t head[9];
  unsigned follow = 0;  // bytes after the first
  if (number < 24) {
    head[0] = (uint8_t)(major << 5 | number);
  } else if (number <= UINT8_MAX) {
    head[0] = (uint8_t)(major << 5 | 24);
    follow = 1;
  } else if (number <= UINT16_MAX) {
    head[0] = (uint8_t)(major << 5 | 25);
    follow = 2;
  } else if (number <= UINT32_MAX) {
    head[0] = (uint8_t)(major << 5 | 26);
    follow = 4;
  } else {
    head[0] = (uint8_t)(major << 5 | 27);
    follow = 8;
  }
  for (unsigned i = 0; i < follow; ++i) {
    head[1 + i] = (uint8_t)(number >> (8 * (follow - 1 - i)));
  }
  put(w, head, 1 + follow);
}

void krux_cbor_put_uint(struct krux_cbor_writer* w, uint64_t value) { put_head(w, 0, value); }

void krux_cbor_put_negative(struct krux_cbor_writer* w, uint64_t n) { put_head(w, 1, n); }

void krux_cbor_put_bytes(struct krux_cbor_writer* w, const uint8_t* bytes, size_t size) {
  put_head(w, 2, size);
  put(w, bytes, size);
}

void krux_cbor_put_text(struct krux_cbor_writer* w, const char* text, size_t size) {
  put_head(w, 3, size);
  put(w, (const uint8_t*)text, size);
}

void krux_cbor_put_array(struct krux_cbor_writer* w, uint64_t items) { put_head(w, 4, items); }

void krux_cbor_put_map(struct krux_cbor_writer* w, uint64_t pairs) { put_head(w, 5, pairs); }

void krux_cbor_put_bool(struct krux_cbor_writer* w, bool value) { put_head(w, 7, value ? 21 : 20); }

void krux_cbor_put_null(struct krux_cbor_writer* w) { put_head(w, 7, 22); }

// ---- reading ----

struct krux_cbor_reader krux_cbor_reader_at(const uint8_t* in, size_t size) {
  struct krux_cbor_reader r = {in, size, 0};
  return r;
}

// Reads the number of a head at `in`; `*used` is the size of the head.
static enum krux_cbor_status read_head(const uint8_t* in, size_t size, uint64_t* number,
                                       size_t* used) {
  if (size == 0) return KRUX_CBOR_TRUNCATED;
  const unsigned info = in[0] & 31u;
  if (info < 24) {
    *number = info;
    *used = 1;
    return KRUX_CBOR_OK;
  }
  if (info == 31) return KRUX_CBOR_INDEFINITE;
  if (info > 27) return KRUX_CBOR_UNSUPPORTED;
  const size_t follow = (size_t)1 << (info - 24);
  if (size - 1 < follow) return KRUX_CBOR_TRUNCATED;
  uint64_t value = 0;
  for (size_t i = 0; i < follow; ++i) value = value << 8 | in[1 + i];
  // The smallest number that needs 1, 2, 4, 8 bytes.
  static const uint64_t kLeast[4] = {24, (uint64_t)UINT8_MAX + 1, (uint64_t)UINT16_MAX + 1,
                                     (uint64_t)UINT32_MAX + 1};
  if (value < kLeast[info - 24]) return KRUX_CBOR_NOT_MINIMAL;
  *number = value;
  *used = 1 + follow;
  return KRUX_CBOR_OK;
}

enum krux_cbor_status krux_cbor_next(struct krux_cbor_reader* r, struct krux_cbor_item* item) {
  const size_t left = r->size - r->at;
  if (left == 0) return KRUX_CBOR_TRUNCATED;
  const uint8_t* in = r->in + r->at;
  const unsigned major = in[0] >> 5;
  if (major == 6) return KRUX_CBOR_UNSUPPORTED;
  if (major == 7) {
    const unsigned info = in[0] & 31u;
    if (info == 31) return KRUX_CBOR_INDEFINITE;
    if (info < KRUX_CBOR_FALSE || info > KRUX_CBOR_NULL) return KRUX_CBOR_UNSUPPORTED;
    item->type = (enum krux_cbor_type)info;
    item->number = 0;
    item->data = NULL;
    r->at += 1;
    return KRUX_CBOR_OK;
  }
  uint64_t number = 0;
  size_t used = 0;
  const enum krux_cbor_status status = read_head(in, left, &number, &used);
  if (status != KRUX_CBOR_OK) return status;
  const uint8_t* data = NULL;
  if (major == KRUX_CBOR_BYTES || major == KRUX_CBOR_TEXT) {
    if (number > left - used) return KRUX_CBOR_TRUNCATED;
    data = in + used;
    used += (size_t)number;
    if (major == KRUX_CBOR_TEXT && !krux_utf8_valid(data, (size_t)number)) {
      return KRUX_CBOR_BAD_UTF8;
    }
  }
  item->type = (enum krux_cbor_type)major;
  item->number = number;
  item->data = data;
  r->at += used;
  return KRUX_CBOR_OK;
}

// One open array or map.
struct level {
  uint64_t left;  // items that have not begun; a map counts keys and values
  bool map;
  bool have_previous;
  size_t key_at;                      // where the current key begins
  size_t previous_at, previous_size;  // the key before it
};

// The item that ended at `end` may have been a key: then it must be greater than the one before.
static enum krux_cbor_status check_key(struct level* top, const uint8_t* in, size_t end) {
  // INVARIANT: `left` counts the items after this one; it is odd exactly when this one is a key.
  if (!top->map || top->left % 2 == 0) return KRUX_CBOR_OK;
  const size_t size = end - top->key_at;
  if (top->have_previous) {
    const size_t shorter = size < top->previous_size ? size : top->previous_size;
    const int order = memcmp(in + top->previous_at, in + top->key_at, shorter);
    // Encodings are prefix-free, so equal prefixes mean equal keys.
    if (order == 0) return KRUX_CBOR_DUPLICATE_KEY;
    if (order > 0) return KRUX_CBOR_KEY_ORDER;
  }
  top->previous_at = top->key_at;
  top->previous_size = size;
  top->have_previous = true;
  return KRUX_CBOR_OK;
}

enum krux_cbor_status krux_cbor_validate_first(const uint8_t* in, size_t size, unsigned max_depth,
                                               size_t* used) {
  struct level levels[KRUX_CBOR_DEPTH_LIMIT];
  unsigned depth = 0;
  if (max_depth > KRUX_CBOR_DEPTH_LIMIT) max_depth = KRUX_CBOR_DEPTH_LIMIT;
  struct krux_cbor_reader r = krux_cbor_reader_at(in, size);
  do {
    if (depth > 0) {
      struct level* top = &levels[depth - 1];
      top->left -= 1;
      if (top->map && top->left % 2 == 1) top->key_at = r.at;
    }
    struct krux_cbor_item item;
    const enum krux_cbor_status status = krux_cbor_next(&r, &item);
    if (status != KRUX_CBOR_OK) return status;
    if (item.type == KRUX_CBOR_ARRAY || item.type == KRUX_CBOR_MAP) {
      if (depth == max_depth) return KRUX_CBOR_TOO_DEEP;
      const bool map = item.type == KRUX_CBOR_MAP;
      // Every item takes a byte: a count that cannot fit ends here, and 2 * pairs cannot overflow.
      if (item.number > (size - r.at) / (map ? 2 : 1)) return KRUX_CBOR_TRUNCATED;
      levels[depth] = (struct level){map ? 2 * item.number : item.number, map, false, 0, 0, 0};
      depth += 1;
      if (levels[depth - 1].left > 0) continue;
      depth -= 1;  // empty: complete at once
    }
    // An item is complete; so is every level that waited for just this one.
    while (depth > 0) {
      const enum krux_cbor_status order = check_key(&levels[depth - 1], in, r.at);
      if (order != KRUX_CBOR_OK) return order;
      if (levels[depth - 1].left > 0) break;
      depth -= 1;
    }
  } while (depth > 0);
  *used = r.at;
  return KRUX_CBOR_OK;
}

enum krux_cbor_status krux_cbor_validate(const uint8_t* in, size_t size, unsigned max_depth) {
  size_t used = 0;
  const enum krux_cbor_status status = krux_cbor_validate_first(in, size, max_depth, &used);
  if (status != KRUX_CBOR_OK) return status;
  return used == size ? KRUX_CBOR_OK : KRUX_CBOR_TRAILING;
}

// RFC 3629 §4: the second byte's range is what keeps out overlong forms, surrogates and numbers
// above U+10FFFF.
bool krux_utf8_valid(const uint8_t* text, size_t size) {
  size_t i = 0;
  while (i < size) {
    const uint8_t first = text[i];
    if (first < 0x80) {
      i += 1;
      continue;
    }
    size_t more;
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
      more = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
      more = 2;
      if (first == 0xe0) low = 0xa0;
      if (first == 0xed) high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      more = 3;
      if (first == 0xf0) low = 0x90;
      if (first == 0xf4) high = 0x8f;
    } else {
      return false;
    }
    if (size - i - 1 < more) return false;
    if (text[i + 1] < low || text[i + 1] > high) return false;
    for (size_t k = 2; k <= more; ++k) {
      if (text[i + k] < 0x80 || text[i + k] > 0xbf) return false;
    }
    i += 1 + more;
  }
  return true;
}
