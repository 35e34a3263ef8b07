/* Changes the mount tree: new mounts, binds, a remount of a read-only grant as writable, unmounting
 * what covers the root, and a new root; by the old system calls and by the new ones.
 * Rings: seccomp (every one of them), caps, user namespace (mounts that came from outside are
 * locked). */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

static void must_fail(long result, const char* what) {
  if (result >= 0) escaped("%s worked", what);
  if (errno != EPERM) escaped("%s answers %s", what, error_name());
}

int main(void) {
  char cwd[4096];
  if (getcwd(cwd, sizeof cwd) == NULL) broken("getcwd: %s", error_name());
  must_fail(mount("none", cwd, "tmpfs", 0, NULL), "mount of a tmpfs");
  must_fail(mount("/", cwd, NULL, MS_BIND | MS_REC, NULL), "bind of the root");
  must_fail(mount(NULL, "/usr", NULL, MS_REMOUNT | MS_BIND, NULL), "remount of /usr");
  must_fail(mount("proc", cwd, "proc", 0, NULL), "mount of a proc");
  must_fail(umount2("/usr", MNT_DETACH), "umount of /usr");
  must_fail(umount2("/proc", MNT_DETACH), "umount of /proc");
  must_fail(syscall(SYS_pivot_root, cwd, cwd), "pivot_root");
  must_fail(chroot(cwd), "chroot");
  must_fail(syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */), "open_tree");
  must_fail(syscall(SYS_move_mount, AT_FDCWD, "/usr", AT_FDCWD, cwd, 0), "move_mount");
  must_fail(syscall(SYS_fsopen, "tmpfs", 0), "fsopen");
  must_fail(syscall(SYS_fspick, AT_FDCWD, "/usr", 0), "fspick");
  must_fail(syscall(SYS_fsmount, 0, 0, 0), "fsmount");
  must_fail(syscall(442 /* mount_setattr */, AT_FDCWD, "/usr", 0, NULL, 0), "mount_setattr");
  contained("mount: EPERM");
}
