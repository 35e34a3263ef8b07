/* Reads what /proc tells of the machine and of everybody on it: command line, memory, keys, loaded
 * modules, interrupts, other users' sockets.
 * Rings: proc (subset=pid: nothing but processes). */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(void) {
  const char* files[] = {"/proc/cmdline",     "/proc/version",
                         "/proc/meminfo",     "/proc/cpuinfo",
                         "/proc/modules",     "/proc/interrupts",
                         "/proc/key-users",   "/proc/uptime",
                         "/proc/loadavg",     "/proc/stat",
                         "/proc/diskstats",   "/proc/partitions",
                         "/proc/sysvipc/shm", "/proc/sys/kernel/random/boot_id",
                         "/proc/bus",         "/proc/irq",
                         "/proc/fs",          "/proc/driver"};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    if (open(files[i], O_RDONLY) >= 0) escaped("%s opens", files[i]);
    if (errno != ENOENT) escaped("%s answers %s: it is there", files[i], error_name());
  }
  contained("open: ENOENT");
}
