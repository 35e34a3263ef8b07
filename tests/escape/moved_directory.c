/* Stands in a directory of WORK while somebody on the host moves it out, and looks around from
 * there: `..` of a place that has left its mount must lead nowhere. argv[1] is the directory;
 * beside where it is moved to lies a file `secret`. Rings: mount (the kernel stops `..` at what is
 * no longer below the mount's root), Landlock. */
#include <fcntl.h>
#include <time.h>

#include "tests/escape/verdict.h"

enum { MOVES = 500, SECONDS = 3 };

static time_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

int main(int argc, char** argv) {
  // The mover waits for this file, so that the scene is looked at before anything moves.
  const int started = open("started", O_WRONLY | O_CREAT, 0600);
  if (started < 0) broken("cannot say that it runs");
  const time_t end = now() + SECONDS;
  int moves = 0, there = 0;
  while (moves < MOVES && now() < end) {
    const int dir = open(argument(argc, argv, 1), O_PATH | O_DIRECTORY);
    if (dir < 0) {
      // Counted once however long it stays away: the mover may be the one that waits for a turn.
      moves += there;
      there = 0;
      continue;
    }
    there = 1;
    for (int j = 0; j < 16; j++) {
      if (openat(dir, "../secret", O_RDONLY) >= 0) escaped("../secret opens");
      if (openat(dir, "../../etc/passwd", O_RDONLY) >= 0) escaped("../../etc/passwd opens");
    }
    close(dir);
  }
  if (moves == 0) broken("nobody moved it");
  contained("openat: %s", error_name());
}
