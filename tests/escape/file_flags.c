/* Makes a file that its owner cannot remove, or that another project's quota pays for: inode flags.
 * Rings: caps (CAP_LINUX_IMMUTABLE), user namespace. */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "tests/escape/verdict.h"

int main(void) {
  const int fd = creat("flagged", 0644);
  if (fd < 0) broken("creat: %s", error_name());
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) contained("ioctl: %s", error_name());
  const int wanted[] = {FS_IMMUTABLE_FL, FS_APPEND_FL};
  const char* first = NULL;
  for (int i = 0; i < 2; i++) {
    int more = flags | wanted[i];
    if (ioctl(fd, FS_IOC_SETFLAGS, &more) == 0) {
      ioctl(fd, FS_IOC_SETFLAGS, &flags);
      escaped("flag %x is set", wanted[i]);
    }
    if (first == NULL) first = error_name();
  }
  contained("ioctl: %s", first);
}
