/* Reaches out through /proc of pid 1, of the parent, and of its threads: descriptors, memory, root,
 * maps, environment.
 * Rings: proc (own, hidepid=2, subset=pid), dumpable 0 of pid 1, Landlock. */
#include <dirent.h>
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(void) {
  const char* who[] = {"/proc/1", "/proc/1/task/1", "/proc/self/task/1", "/proc/self/root/proc/1"};
  const char* what[] = {"fd/0",    "fd/3",      "fd/4",     "mem",    "root",   "cwd",
                        "exe",     "maps",      "environ",  "auxv",   "stack",  "syscall",
                        "pagemap", "map_files", "fdinfo/3", "ns/mnt", "cmdline"};
  for (size_t i = 0; i < sizeof who / sizeof who[0]; i++) {
    for (size_t j = 0; j < sizeof what / sizeof what[0]; j++) {
      char path[128];
      snprintf(path, sizeof path, "%s/%s", who[i], what[j]);
      if (open(path, O_RDONLY) >= 0) escaped("%s opens", path);
      char target[256];
      if (readlink(path, target, sizeof target) >= 0) escaped("%s can be read", path);
    }
    char fds[64];
    snprintf(fds, sizeof fds, "%s/fd", who[i]);
    if (opendir(fds) != NULL) escaped("%s can be listed", fds);
  }
  if (open("/proc/1/mem", O_RDWR) >= 0) escaped("/proc/1/mem opens for writing");
  /* Its own entries must not lead out of its world either. */
  if (open("/proc/self/root/etc/shadow", O_RDONLY) >= 0) escaped("/proc/self/root leads out");
  contained("open: %s", error_name());
}
