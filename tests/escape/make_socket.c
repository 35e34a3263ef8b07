/* Makes a listening socket in WORK, a door for whoever on the host looks there.
 * Rings: seccomp (no socket(2), bind(2)), Landlock (no MAKE_SOCK). */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tests/escape/verdict.h"

int main(void) {
  if (mknod("node", S_IFSOCK | 0666, 0) == 0) escaped("made a socket node");
  struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 &&
      bind(pair[0], (struct sockaddr*)&name, sizeof name) == 0) {
    escaped("bound an end of a pair");
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd >= 0 && bind(fd, (struct sockaddr*)&name, sizeof name) == 0) escaped("bound a socket");
  contained("bind: %s", error_name());
}
