// Canonical absolute paths: the one spelling in which krux compares, grants and records a path.
//
//   char out[KRUX_PATH_SIZE];
//   size_t length = 0;
//   krux_path_status status = krux_path_canonical("/a//b/../c", 10, out, sizeof out, &length);
//   // status == KRUX_PATH_OK, out == "/a/c", length == 4
//
// C11, no allocation, no system call. `..` is removed by spelling, before any link is looked at;
// whoever opens the path resolves links himself and matches the scopes again on what he found.
#ifndef KRUX_BASE_PATH_H_
#define KRUX_BASE_PATH_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  KRUX_PATH_SIZE = 4096,          // PATH_MAX, bytes, with the final NUL
  KRUX_PATH_COMPONENT_MAX = 255,  // NAME_MAX, bytes
};

typedef enum krux_path_status {
  KRUX_PATH_OK = 0,
  KRUX_PATH_EMPTY,
  KRUX_PATH_RELATIVE,
  KRUX_PATH_NUL,
  KRUX_PATH_TOO_LONG,
  KRUX_PATH_COMPONENT_TOO_LONG,
  KRUX_PATH_NOT_UTF8,
  KRUX_PATH_ABOVE_ROOT,
  KRUX_PATH_NO_SPACE,  // `out_size` is too small for the result and its NUL
} krux_path_status;

// Writes the canonical form of in[0, in_length) and a NUL to `out`, its length to `out_length`.
// The result is never longer than the input. On any status but KRUX_PATH_OK, `out` is empty.
krux_path_status krux_path_canonical(const char* in, size_t in_length, char* out, size_t out_size,
                                     size_t* out_length);

// The status in words for a message, such as "is not absolute".
const char* krux_path_status_text(krux_path_status status);

// True when the bytes are UTF-8 (RFC 3629: no surrogate, nothing overlong, at most U+10FFFF).
bool krux_path_is_utf8(const char* bytes, size_t length);

// True when `path` is `tree` or lies beneath it; both canonical. "/a" holds "/a/b", not "/ab".
bool krux_path_within(const char* tree, size_t tree_length, const char* path, size_t path_length);

#ifdef __cplusplus
}
#endif

#endif  // KRUX_BASE_PATH_H_
