/* Brings a file of the host, argv[1], under a name in WORK by every kind of hard link: of a
 * descriptor, of its /proc name, of a nameless file; and the program trees' files, which do exist
 * here. Rings: mount (the name is not there; a link does not cross mounts), Landlock (REFER). */
#include <fcntl.h>

#include "tests/escape/verdict.h"

static void link_descriptor(int fd, const char* what) {
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  if (linkat(AT_FDCWD, name, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW) == 0)
    escaped("linked %s by its name in /proc", what);
  if (linkat(fd, "", AT_FDCWD, "linked", AT_EMPTY_PATH) == 0)
    escaped("linked %s by its descriptor", what);
}

int main(int argc, char** argv) {
  const int outside = open(argument(argc, argv, 1), O_PATH);
  const char* first = error_name();
  if (outside >= 0) link_descriptor(outside, argv[1]);
  const char* inside[] = {"/usr/bin/env", "/etc/passwd", "/.krux-canary", "/dev/null"};
  for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
    const int fd = open(inside[i], O_PATH);
    if (fd < 0) continue;
    link_descriptor(fd, inside[i]);
    if (link(inside[i], "linked") == 0) escaped("linked %s", inside[i]);
  }
  /* A file without a name that was made elsewhere. */
  const int nameless = open("/tmp", O_TMPFILE | O_RDWR, 0644);
  if (nameless >= 0) link_descriptor(nameless, "a file of /tmp");
  contained("open: %s", first);
}
