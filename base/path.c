#include "base/path.h"

#include <string.h>

// The length of the UTF-8 sequence at bytes[0, left), 0 if there is none. RFC 3629 §4: the second
// byte's range depends on the first, which is what shuts out overlong forms and surrogates.
static size_t utf8_sequence(const unsigned char* bytes, size_t left) {
  unsigned char low = 0x80, high = 0xBF;
  size_t need;
  if (bytes[0] < 0x80) return 1;
  if (bytes[0] >= 0xC2 && bytes[0] <= 0xDF) {
    need = 2;
  } else if (bytes[0] >= 0xE0 && bytes[0] <= 0xEF) {
    need = 3;
    if (bytes[0] == 0xE0) low = 0xA0;
    if (bytes[0] == 0xED) high = 0x9F;
  } else if (bytes[0] >= 0xF0 && bytes[0] <= 0xF4) {
    need = 4;
    if (bytes[0] == 0xF0) low = 0x90;
    if (bytes[0] == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  if (left < need || bytes[1] < low || bytes[1] > high) return 0;
  for (size_t i = 2; i < need; i++) {
    if ((bytes[i] & 0xC0) != 0x80) return 0;
  }
  return need;
}

bool krux_path_is_utf8(const char* bytes, size_t length) {
  const unsigned char* at = (const unsigned char*)bytes;
  while (length > 0) {
    size_t step = utf8_sequence(at, length);
    if (step == 0) return false;
    at += step;
    length -= step;
  }
  return true;
}

// What is wrong with the input as a whole, before it is taken apart.
static krux_path_status check_input(const char* in, size_t in_length) {
  if (in_length == 0) return KRUX_PATH_EMPTY;
  if (in_length >= KRUX_PATH_SIZE) return KRUX_PATH_TOO_LONG;
  if (memchr(in, 0, in_length) != NULL) return KRUX_PATH_NUL;
  if (!krux_path_is_utf8(in, in_length)) return KRUX_PATH_NOT_UTF8;
  if (in[0] != '/') return KRUX_PATH_RELATIVE;
  return KRUX_PATH_OK;
}

krux_path_status krux_path_canonical(const char* in, size_t in_length, char* out, size_t out_size,
                                     size_t* out_length) {
  *out_length = 0;
  if (out_size > 0) out[0] = '\0';
  krux_path_status status = check_input(in, in_length);
  if (status != KRUX_PATH_OK) return status;
  if (out_size < 2) return KRUX_PATH_NO_SPACE;

  size_t length = 0;  // INVARIANT: out[0, length) is "" or "/name" repeated; length <= position
  size_t position = 0;
  while (position < in_length) {
    while (position < in_length && in[position] == '/') position++;
    const size_t start = position;
    while (position < in_length && in[position] != '/') position++;
    const size_t size = position - start;
    if (size == 0 || (size == 1 && in[start] == '.')) continue;
    if (size == 2 && in[start] == '.' && in[start + 1] == '.') {
      if (length == 0) status = KRUX_PATH_ABOVE_ROOT;
      while (length > 0 && out[--length] != '/') continue;
    } else if (size > KRUX_PATH_COMPONENT_MAX) {
      status = KRUX_PATH_COMPONENT_TOO_LONG;
    } else if (length + 1 + size + 1 > out_size) {
      status = KRUX_PATH_NO_SPACE;
    } else {
      out[length++] = '/';
      memcpy(out + length, in + start, size);
      length += size;
    }
    if (status != KRUX_PATH_OK) {
      out[0] = '\0';
      return status;
    }
  }
  if (length == 0) out[length++] = '/';
  out[length] = '\0';
  *out_length = length;
  return KRUX_PATH_OK;
}

const char* krux_path_status_text(krux_path_status status) {
  switch (status) {
    case KRUX_PATH_OK:
      return "is canonical";
    case KRUX_PATH_EMPTY:
      return "is empty";
    case KRUX_PATH_RELATIVE:
      return "is not absolute";
    case KRUX_PATH_NUL:
      return "holds a NUL byte";
    case KRUX_PATH_TOO_LONG:
      return "is longer than 4095 bytes";
    case KRUX_PATH_COMPONENT_TOO_LONG:
      return "has a component longer than 255 bytes";
    case KRUX_PATH_NOT_UTF8:
      return "is not UTF-8";
    case KRUX_PATH_ABOVE_ROOT:
      return "climbs above / with `..`";
    case KRUX_PATH_NO_SPACE:
      return "does not fit the buffer";
  }
  return "is malformed";
}

bool krux_path_within(const char* tree, size_t tree_length, const char* path, size_t path_length) {
  if (tree_length == 1 && tree[0] == '/') return path_length > 0 && path[0] == '/';
  if (tree_length == 0 || path_length < tree_length) return false;
  if (memcmp(tree, path, tree_length) != 0) return false;
  return path_length == tree_length || path[tree_length] == '/';
}
