/* Makes a program that gives capabilities to whoever runs it on the host, or hides from the caller
 * what it is: extended attributes that only root may set. Rings: caps (CAP_SETFCAP, CAP_SYS_ADMIN),
 * user namespace. */
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/xattr.h>

#include "tests/escape/verdict.h"

int main(void) {
  if (creat("program", 0755) < 0) broken("creat: %s", error_name());
  struct vfs_cap_data second = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
                                .data = {{~0u, 0}, {0xff, 0}}};
  struct vfs_ns_cap_data third = {.magic_etc = VFS_CAP_REVISION_3 | VFS_CAP_FLAGS_EFFECTIVE,
                                  .data = {{~0u, 0}, {0xff, 0}},
                                  .rootid = getuid()};
  if (setxattr("program", "security.capability", &second, sizeof second, 0) == 0)
    escaped("the program has capabilities");
  const char* first = error_name();
  if (setxattr("program", "security.capability", &third, sizeof third, 0) == 0)
    escaped("the program has capabilities in a namespace");
  const char* others[] = {"trusted.overlay.opaque", "security.ima", "security.evm"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    if (setxattr("program", others[i], "x", 1, 0) == 0) escaped("set %s", others[i]);
  }
  contained("setxattr: %s", first);
}
