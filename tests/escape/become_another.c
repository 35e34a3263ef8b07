/* Becomes somebody else: root, the caller, the unmapped ids; other groups; all capabilities at
 * once. Rings: user namespace (one id is mapped), caps (none to change ids with). */
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  const unsigned ids[] = {0, 1, 1000, 1099, 1101, 65534, 4294967294u};
  const char* first = NULL;
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    if (setresuid(ids[i], ids[i], ids[i]) == 0) escaped("became uid %u", ids[i]);
    if (first == NULL) first = error_name();
    if (setreuid((uid_t)-1, ids[i]) == 0) escaped("became uid %u", ids[i]);
    if (setuid(ids[i]) == 0) escaped("became uid %u", ids[i]);
    if (setresgid(ids[i], ids[i], ids[i]) == 0) escaped("became gid %u", ids[i]);
    if (setgid(ids[i]) == 0) escaped("became gid %u", ids[i]);
    setfsuid(ids[i]);
    if ((unsigned)setfsuid((uid_t)-1) == ids[i]) escaped("became uid %u for files", ids[i]);
    const gid_t group = ids[i];
    if (setgroups(1, &group) == 0) escaped("is in group %u", ids[i]);
  }
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct all[2] = {{~0u, ~0u, ~0u}, {~0u, ~0u, ~0u}};
  if (syscall(SYS_capset, &header, all) == 0) escaped("has every capability");
  struct __user_cap_data_struct inheritable[2] = {{0, 0, ~0u}, {0, 0, 0}};
  if (syscall(SYS_capset, &header, inheritable) == 0) escaped("hands capabilities on");
  contained("setresuid: %s", first);
}
