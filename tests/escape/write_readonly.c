/* Writes where it may only read: WORK that was granted for reading, the program trees, the
 * furniture. argv[1] is a file of the caller's in a read-only WORK, mode 0666. Rings: mount
 * (read-only), Landlock (no write rights). */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const char* granted = argument(argc, argv, 1);
  const char* files[] = {granted, "/usr/bin/env", "/etc/passwd", "/.krux-canary"};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    if (open(files[i], O_WRONLY) >= 0) escaped("%s opens for writing", files[i]);
    if (truncate(files[i], 0) == 0) escaped("truncated %s", files[i]);
    if (chmod(files[i], 0600) == 0) escaped("changed the mode of %s", files[i]);
    if (unlink(files[i]) == 0) escaped("removed %s", files[i]);
  }
  const char* places[] = {"new", "/new", "/usr/new", "/etc/new", "/proc/new"};
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    if (open(places[i], O_WRONLY | O_CREAT, 0600) >= 0) escaped("made %s", places[i]);
    if (mkdir(places[i], 0700) == 0) escaped("made %s", places[i]);
  }
  const int fd = open(granted, O_RDONLY);
  if (fd < 0) broken("open: %s", error_name());
  if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
    escaped("mapped it writable");
  char again[64];
  snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
  if (open(again, O_RDWR) >= 0) escaped("opened its descriptor again for writing");
  contained("open: %s", error_name());
}
