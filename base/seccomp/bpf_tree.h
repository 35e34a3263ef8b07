/* bpf_tree: turns a table of system calls into one classic BPF program for seccomp(2). C11, no
 * allocation, no recursion, every write bounded: it is made to be proved.
 *
 *   struct krux_bpf_program out = {.insns = buffer, .capacity = 1024};
 *   int error = krux_bpf_generate(&table, &out);   // 0, or KRUX_BPF_*
 *
 * The program, in order:
 *   1. architecture other than the table's: kill the process;
 *   2. number with the x32 bit (x86_64): kill the process, but -1, which a tracer writes to skip a
 *      call and which no ABI owns, falls through;
 *   3. the probe number: answer ERRNO | chunk arg0 of the digest (12 bits each);
 *   4. a balanced tree of JGE over ranges of numbers, whose leaves are returns or cases;
 *   5. the cases: masks and equalities on the low 32 bits of arguments.
 *
 * Why the low 32 bits are enough: every argument the rules look at is an int, an unsigned int or a
 * umode_t for the kernel, or a flag word whose flags lie in the low half (clone, mmap's prot). The
 * kernel itself drops the high half, so a filter that looked at it could be evaded by setting it.
 */
#ifndef KRUX_BASE_SECCOMP_BPF_TREE_H_
#define KRUX_BASE_SECCOMP_BPF_TREE_H_

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  KRUX_BPF_DIGEST_BYTES = 32,
  KRUX_BPF_CHUNK_BITS = 12, /* the kernel caps ERRNO data at MAX_ERRNO, 4095 */
  KRUX_BPF_CHUNKS = 22,     /* 21 chunks of 12 bits, then the last 4 bits */
  KRUX_BPF_MAX_CONDITIONS = 3,
  KRUX_BPF_MAX_RANGES = 256,
};

enum {
  KRUX_BPF_EINPUT = -1, /* the table breaks a rule stated below */
  KRUX_BPF_ESPACE = -2, /* the program does not fit `capacity` */
  KRUX_BPF_EFAR = -3,   /* the tree is too large for 8-bit jumps */
};

/* (low half of argument `arg` & mask) == value */
struct krux_bpf_condition {
  uint32_t arg; /* 0…5 */
  uint32_t mask;
  uint32_t value;
};

/* All conditions hold. */
struct krux_bpf_alternative {
  struct krux_bpf_condition conditions[KRUX_BPF_MAX_CONDITIONS];
  size_t count; /* 1…KRUX_BPF_MAX_CONDITIONS */
};

/* A leaf: `count` == 0 returns `miss`; else `hit` if any alternative holds and `miss` if none does.
 * hit and miss are SECCOMP_RET_* values. */
struct krux_bpf_leaf {
  const struct krux_bpf_alternative* alternatives;
  size_t count;
  uint32_t hit;
  uint32_t miss;
};

/* Numbers from `first` up to the next range's first. */
struct krux_bpf_range {
  uint32_t first; /* ascending; 0 in the first range; below the x32 bit in all */
  uint32_t leaf;
};

struct krux_bpf_table {
  uint32_t audit_arch; /* AUDIT_ARCH_* */
  int has_x32;         /* kill numbers from 0x40000000 on */
  uint32_t probe;      /* reserved number that answers with the digest */
  uint32_t probe_miss; /* what it returns when arg0 is no chunk */
  uint8_t digest[KRUX_BPF_DIGEST_BYTES];
  const struct krux_bpf_range* ranges;
  size_t range_count; /* 1…KRUX_BPF_MAX_RANGES */
  const struct krux_bpf_leaf* leaves;
  size_t leaf_count; /* 1…KRUX_BPF_MAX_RANGES */
};

struct krux_bpf_program {
  struct sock_filter* insns;
  size_t capacity;
  size_t count;
  size_t tree_count; /* instructions of step 4 without the leaves */
};

/* Fills `out->insns`, `count` and `tree_count`. 0 or KRUX_BPF_E*. */
int krux_bpf_generate(const struct krux_bpf_table* table, struct krux_bpf_program* out);

/* Chunk `i` (0…KRUX_BPF_CHUNKS-1) of a digest: bits 12·i … 12·i+11, most significant first; the
 * last chunk has 4 bits. */
uint32_t krux_bpf_chunk(const uint8_t digest[KRUX_BPF_DIGEST_BYTES], size_t i);

#ifdef __cplusplus
}
#endif

#endif /* KRUX_BASE_SECCOMP_BPF_TREE_H_ */
