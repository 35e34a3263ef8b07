/* Uses the kernel's key service: adds a key, asks for one, joins a session keyring, reads the
 * user's. Keyrings belong to ids, so two calls could meet there. Rings: seccomp. */
#include <linux/keyctl.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

static void must_fail(long result, const char* what) {
  if (result >= 0) escaped("%s worked", what);
  if (errno != EPERM) escaped("%s answers %s", what, error_name());
}

int main(void) {
  must_fail(syscall(SYS_add_key, "user", "krux-escape", "x", 1, KEY_SPEC_PROCESS_KEYRING),
            "add_key");
  must_fail(syscall(SYS_request_key, "user", "krux-escape", NULL, 0), "request_key");
  must_fail(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1), "keyctl");
  must_fail(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL), "joining a session keyring");
  contained("keyctl: EPERM");
}
