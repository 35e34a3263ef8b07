/* Makes a device node without mknod(2): RENAME_WHITEOUT leaves one, of number 0:0, where the file
 * was, rename(2).
 * Rings: seccomp alone; neither Landlock's MAKE_CHAR nor a capability is asked. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/escape/verdict.h"

int main(void) {
  if (creat("from", 0644) < 0) broken("creat: %s", error_name());
  const int renamed = renameat2(AT_FDCWD, "from", AT_FDCWD, "to", 1u << 2 /* RENAME_WHITEOUT */);
  const char* how = error_name();
  struct stat st;
  if (lstat("from", &st) == 0 && S_ISCHR(st.st_mode)) escaped("a device node is there");
  if (renamed == 0) escaped("a whiteout was made");
  contained("renameat2: %s", how);
}
