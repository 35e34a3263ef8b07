/* Writes to a process of the host through a named pipe that lies in a tree granted for reading only
 * (argv[1]): a read-only mount does not cover pipes, mount(2) is about the file system's own
 * content. Rings: Landlock alone (no WRITE_FILE). */
#include <fcntl.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const char* pipe_path = argument(argc, argv, 1);
  const int flags[] = {O_WRONLY, O_RDWR};
  for (int i = 0; i < 2; i++) {
    const int fd = open(pipe_path, flags[i] | O_NONBLOCK);
    if (fd >= 0) escaped("opened the pipe, wrote %zd bytes", write(fd, "x", 1));
  }
  contained("open: %s", error_name());
}
