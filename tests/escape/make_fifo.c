/* Makes a named pipe in WORK: a channel to the host that no record sees, and that blocks whoever
 * opens it.
 * Rings: Landlock alone (no MAKE_FIFO). */
#include <sys/stat.h>

#include "tests/escape/verdict.h"

int main(void) {
  if (mkfifo("pipe", 0666) == 0) escaped("made a named pipe");
  contained("mkfifo: %s", error_name());
}
