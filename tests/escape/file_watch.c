/* Watches what others do with files: fanotify, as an unprivileged program may since Linux 5.13, and
 * as a privileged one.
 * Rings: seccomp. inotify is let through: it sees names that the program could list itself. */
#include <fcntl.h>
#include <sys/fanotify.h>

#include "tests/escape/verdict.h"

int main(void) {
  const unsigned kinds[] = {0x200 /* FAN_REPORT_FID */, FAN_CLASS_NOTIF, FAN_CLASS_CONTENT,
                            FAN_CLASS_PRE_CONTENT};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    if (fanotify_init(kinds[i], O_RDONLY) >= 0) escaped("fanotify of kind %x", kinds[i]);
    if (errno != EPERM) escaped("fanotify_init answers %s", error_name());
  }
  contained("fanotify_init: EPERM");
}
