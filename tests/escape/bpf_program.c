/* Loads into the kernel: a BPF map, and a socket filter.
 * Rings: seccomp, caps. */
#include <linux/bpf.h>
#include <sys/syscall.h>

#include "tests/escape/verdict.h"

int main(void) {
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.key_size = 4;
  attr.value_size = 4;
  attr.max_entries = 1;
  if (syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr) >= 0) escaped("made a BPF map");
  contained("bpf: %s", error_name());
}
