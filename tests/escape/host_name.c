/* Learns the machine's name: the host's own is argv[1].
 * Rings: uts namespace (with a name of its own). */
#include <sys/utsname.h>

#include "tests/escape/verdict.h"

int main(int argc, char** argv) {
  struct utsname name;
  if (uname(&name) != 0) broken("uname: %s", error_name());
  if (strcmp(name.nodename, argument(argc, argv, 1)) == 0)
    escaped("the machine is %s", name.nodename);
  contained("the machine is called %s", name.nodename);
}
