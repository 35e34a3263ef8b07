/* Makes device nodes: the null device and a disk, in WORK and in /dev.
 * Rings: caps (CAP_MKNOD in the host's user namespace), Landlock (no MAKE_CHAR, MAKE_BLOCK); on
 * what would stand there, nodev. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "tests/escape/verdict.h"

int main(void) {
  if (mknod("null-device", S_IFCHR | 0666, makedev(1, 3)) == 0) escaped("a character device");
  const int first = errno;
  if (mknod("disk-device", S_IFBLK | 0666, makedev(254, 0)) == 0) escaped("a block device");
  if (mknod("/dev/disk", S_IFBLK | 0666, makedev(254, 0)) == 0) escaped("a block device in /dev");
  if (mknod("/tmp/disk", S_IFBLK | 0666, makedev(254, 0)) == 0) escaped("a block device in /tmp");
  errno = first;
  contained("mknod: %s", error_name());
}
