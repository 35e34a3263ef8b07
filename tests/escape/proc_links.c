/* Leaves its root through the links of /proc that lead to places and not to names: root, cwd, exe,
 * descriptors, maps, of itself, its threads and its parent. argv[1] is a file outside.
 * Rings: mount (its root is all there is), proc (nobody else is shown), Landlock. */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const char* outside = argument(argc, argv, 1);
  const int up = open("..", O_PATH | O_DIRECTORY);
  char by_descriptor[64];
  snprintf(by_descriptor, sizeof by_descriptor, "/proc/self/fd/%d/../../../../../..", up);
  const char* starts[] = {"/proc/self/root",
                          "/proc/thread-self/root",
                          "/proc/self/task/../root",
                          "/proc/1/root",
                          "/proc/2/root",
                          "/proc/self/cwd/../../../../../../..",
                          "/proc/1/cwd/../../../../../../..",
                          "/proc/self/root/proc/1/root",
                          "/proc/self/fd/0/../../..",
                          "/dev/fd/0/../../..",
                          by_descriptor};
  char path[4096];
  for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
    snprintf(path, sizeof path, "%s%s", starts[i], outside);
    if (open(path, O_RDONLY) >= 0) escaped("%s opens", path);
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
      escaped("%s answers %s", path, error_name());
  }
  if (open("/proc/self/map_files", O_RDONLY | O_DIRECTORY) >= 0) {
    /* Only names of its own mappings; opening one takes a capability of the host. */
    if (open("/proc/self/map_files/400000-401000", O_RDWR) >= 0)
      escaped("opened a mapping for writing");
  }
  snprintf(path, sizeof path, "/proc/self/root%s", outside);
  if (open(path, O_RDONLY) >= 0) escaped("%s opens", path);
  contained("open: %s", error_name());
}
