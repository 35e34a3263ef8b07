/* Learns where in the host's cgroup tree it sits, and so the names that stand above it.
 * Rings: cgroup namespace (the call's own leaf is the root). */
#include "tests/escape/verdict.h"

int main(void) {
  FILE* file = fopen("/proc/self/cgroup", "r");
  if (file == NULL) broken("/proc/self/cgroup: %s", error_name());
  char line[4096];
  while (fgets(line, sizeof line, file) != NULL) {
    const char* path = strrchr(line, ':');
    if (path == NULL) broken("no path in %s", line);
    if (strcmp(path, ":/\n") != 0) {
      line[strcspn(line, "\n")] = '\0';
      escaped("it sits in %s", path + 1);
    }
  }
  contained("the call's own cgroup is the root");
}
