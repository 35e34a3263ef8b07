/* Meets the host's System V shared memory: argv[1] is the key of a segment that anybody may attach.
 * Rings: ipc namespace. */
#include <sys/ipc.h>
#include <sys/shm.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  const key_t key = (key_t)strtoul(argument(argc, argv, 1), NULL, 0);
  if (shmget(key, 0, 0) >= 0) escaped("found the segment");
  const int first = errno;
  struct shmid_ds info;
  for (int index = 0; index < 4096; index++) {
    if (shmctl(index, SHM_STAT, &info) >= 0) escaped("a segment is there");
  }
  errno = first;
  contained("shmget: %s", error_name());
}
