/* Opens a file by its handle, past every path: mounts, Landlock and the root do not count there.
 * argv[1] is the handle of a file outside of WORK in hexadecimal, argv[2] its type.
 * Rings: seccomp, caps (CAP_DAC_READ_SEARCH of the host). */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const char* hex = argument(argc, argv, 1);
  union {
    struct file_handle handle;
    char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
  } u;
  memset(&u, 0, sizeof u);
  for (; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
    unsigned byte = 0;
    sscanf(hex, "%2x", &byte);
    u.handle.f_handle[u.handle.handle_bytes++] = (unsigned char)byte;
  }
  u.handle.handle_type = atoi(argument(argc, argv, 2));
  const int here = open(".", O_RDONLY | O_DIRECTORY);
  if (here < 0) broken("open .: %s", error_name());
  if (open_by_handle_at(here, &u.handle, O_RDONLY) >= 0) escaped("opened a file by its handle");
  contained("open_by_handle_at: %s", error_name());
}
