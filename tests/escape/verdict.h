/* How every program of this folder ends: with one line on stdout and an exit status.
 *
 *   if (fd >= 0) escaped("opened %s", path);
 *   contained("open: %s", error_name());
 *
 * contained → 0, escaped → 1; broken (the program could not even set up its attempt) → 2, which no
 * test takes for containment. */
#ifndef KRUX_TESTS_ESCAPE_VERDICT_H_
#define KRUX_TESTS_ESCAPE_VERDICT_H_

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline const char* error_name(void) {
  const char* name = strerrorname_np(errno);
  return name != NULL ? name : "no errno";
}

static inline _Noreturn void say(const char* verdict, int status, const char* format,
                                 va_list args) {
  char line[512];
  vsnprintf(line, sizeof line, format, args);
  printf("%s: %s\n", verdict, line);
  fflush(stdout);
  _exit(status);
}

__attribute__((format(printf, 1, 2))) static inline _Noreturn void contained(const char* how, ...) {
  va_list args;
  va_start(args, how);
  say("contained", 0, how, args);
}

__attribute__((format(printf, 1, 2))) static inline _Noreturn void escaped(const char* what, ...) {
  va_list args;
  va_start(args, what);
  say("ESCAPED", 1, what, args);
}

__attribute__((format(printf, 1, 2))) static inline _Noreturn void broken(const char* why, ...) {
  va_list args;
  va_start(args, why);
  say("BROKEN", 2, why, args);
}

/* The nth argument; the test that starts the program knows how many there are. */
static inline const char* argument(int argc, char** argv, int n) {
  if (n >= argc) broken("argument %d is missing", n);
  return argv[n];
}

#endif /* KRUX_TESTS_ESCAPE_VERDICT_H_ */
