/* Climbs from its own namespaces to those around them: NS_GET_PARENT and NS_GET_USERNS,
 * ioctl_nsfs(2). Rings: user and pid namespace (a parent outside of one's own is EPERM), seccomp
 * (setns). */
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "tests/escape/verdict.h"

enum { kGetUserns = 0xb701, kGetParent = 0xb702 };

int main(void) {
  const char* kinds[] = {"user", "pid", "net", "mnt", "uts", "ipc", "cgroup"};
  const char* first = NULL;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
    const int own = open(path, O_RDONLY);
    if (own < 0) continue;
    const int parent = ioctl(own, kGetParent);
    if (parent >= 0) escaped("the parent of its %s namespace is open", kinds[i]);
    if (first == NULL) first = error_name();
    const int owner = ioctl(own, kGetUserns);
    if (owner >= 0 && ioctl(owner, kGetParent) >= 0) escaped("two steps up from %s", kinds[i]);
    if (owner >= 0 && setns(owner, CLONE_NEWUSER) == 0)
      escaped("entered the owner of %s", kinds[i]);
  }
  if (first == NULL) broken("no namespace of its own opens");
  contained("ioctl: %s", first);
}
