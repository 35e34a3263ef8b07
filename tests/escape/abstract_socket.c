/* Talks to a listener of the host that has an abstract name, argv[1].
 * Rings: seccomp (no socket(2)), net namespace (abstract names belong to one), Landlock scope. */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const char* name = argument(argc, argv, 1);
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  strncpy(to.sun_path + 1, name, sizeof to.sun_path - 2);
  const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 &&
      connect(pair[0], (struct sockaddr*)&to, size) == 0) {
    escaped("connected a pair to @%s", name);
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) contained("socket: %s", error_name());
  if (connect(fd, (struct sockaddr*)&to, size) == 0) escaped("connected to @%s", name);
  contained("connect: %s", error_name());
}
