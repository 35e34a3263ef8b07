/* Opens devices that hold the host's memory, log, disks and hardware.
 * Rings: mount (/dev holds five harmless ones), nodev. */
#include <dirent.h>
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(void) {
  const char* devices[] = {"/dev/mem",       "/dev/kmem",    "/dev/kmsg",    "/dev/port",
                           "/dev/vda",       "/dev/sda",     "/dev/nvme0n1", "/dev/loop-control",
                           "/dev/fuse",      "/dev/kvm",     "/dev/net/tun", "/dev/ptmx",
                           "/dev/tty",       "/dev/console", "/dev/hpet",    "/dev/userfaultfd",
                           "/dev/vhost-net", "/dev/uinput"};
  for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
    const int fd = open(devices[i], O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0) escaped("%s opens", devices[i]);
    if (errno != ENOENT) escaped("%s answers %s: it is there", devices[i], error_name());
  }
  const char* known = " . .. null zero full random urandom fd stdin stdout stderr ";
  DIR* dir = opendir("/dev");
  if (dir == NULL) broken("opendir /dev: %s", error_name());
  for (const struct dirent* entry; (entry = readdir(dir)) != NULL;) {
    char name[300];
    snprintf(name, sizeof name, " %s ", entry->d_name);
    if (strstr(known, name) == NULL) escaped("/dev/%s is there", entry->d_name);
  }
  contained("open: ENOENT");
}
