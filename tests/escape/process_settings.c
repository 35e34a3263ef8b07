/* Takes back what was given up: no_new_privs, the filter, securebits, ambient and bounding set, the
 * map of its memory. prctl(2). Rings: caps, no_new_privs and seccomp (both cannot be undone). */
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

#include "tests/escape/verdict.h"

int main(void) {
  if (prctl(PR_SET_SECUREBITS, 0, 0, 0, 0) == 0) escaped("securebits are gone");
  const char* first = error_name();
  if (prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0) escaped("no_new_privs is gone");
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) escaped("no_new_privs is not set");
  if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER) escaped("no filter is loaded");
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0) escaped("capabilities would be kept");
  for (unsigned long cap = 0; cap <= CAP_LAST_CAP; cap++) {
    if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
      escaped("capability %lu is in the bounding set", cap);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) == 0)
      escaped("capability %lu is ambient", cap);
  }
  if (prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, 0, 0, 0) == 0) escaped("it is called another program");
  contained("prctl: %s", first);
}
