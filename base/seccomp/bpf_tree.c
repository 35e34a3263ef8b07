#include "base/seccomp/bpf_tree.h"

#include <linux/bpf_common.h>
#include <linux/seccomp.h>

/* Offsets in struct seccomp_data (seccomp(2)); both supported architectures are little-endian, so
 * the low half of an argument comes first. */
enum { kOffsetNumber = 0, kOffsetArch = 4, kOffsetArgs = 16, kArgBytes = 8 };

enum { kX32Bit = 0x40000000, kMaxJump = 255, kMaxDepth = 32 };

static void emit(struct krux_bpf_program* out, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k) {
  /* Past the end only the count goes on; krux_bpf_generate reports it once. */
  if (out->count < out->capacity) {
    out->insns[out->count] = (struct sock_filter){.code = code, .jt = jt, .jf = jf, .k = k};
  }
  out->count++;
}

static void load(struct krux_bpf_program* out, uint32_t offset) {
  emit(out, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
}

static void ret(struct krux_bpf_program* out, uint32_t value) {
  emit(out, BPF_RET | BPF_K, 0, 0, value);
}

/* One subtree still to be written: ranges [low, high). */
struct span {
  size_t low;
  size_t high;
};

/* Emits the JGE nodes of ranges[0, n). A subtree of m ranges has exactly m - 1 nodes in pre-order,
 * so every target is known when its jump is written; leaf l is at out->count(at entry) + n - 1 + l.
 */
static int emit_tree(struct krux_bpf_program* out, const struct krux_bpf_range* ranges, size_t n) {
  const size_t base = out->count;
  const size_t leaves = base + n - 1;
  struct span stack[kMaxDepth];
  size_t depth = 0;
  if (n < 2) {
    emit(out, BPF_JMP | BPF_JA, 0, 0, ranges[0].leaf);
    return 0;
  }
  stack[depth++] = (struct span){0, n};
  while (depth > 0) {
    const struct span s = stack[--depth];
    const size_t mid = s.low + (s.high - s.low) / 2;
    const size_t next = out->count + 1;
    /* Below ranges[mid].first: the left subtree, which follows at once, or its only leaf. */
    const size_t left = mid - s.low > 1 ? next : leaves + ranges[s.low].leaf;
    const size_t right = s.high - mid > 1 ? next + (mid - s.low - 1) : leaves + ranges[mid].leaf;
    if (left - next > kMaxJump || right - next > kMaxJump) return KRUX_BPF_EFAR;
    emit(out, BPF_JMP | BPF_JGE | BPF_K, (uint8_t)(right - next), (uint8_t)(left - next),
         ranges[mid].first);
    if (depth + 2 > kMaxDepth) return KRUX_BPF_EFAR;
    if (s.high - mid > 1) stack[depth++] = (struct span){mid, s.high};
    if (mid - s.low > 1) stack[depth++] = (struct span){s.low, mid};
  }
  return 0;
}

static size_t alternative_size(const struct krux_bpf_alternative* a) {
  size_t size = 1; /* the return */
  for (size_t i = 0; i < a->count; i++) {
    size += a->conditions[i].mask == UINT32_MAX ? 2 : 3;
  }
  return size;
}

static size_t leaf_size(const struct krux_bpf_leaf* leaf) {
  size_t size = 1;
  for (size_t i = 0; i < leaf->count; i++) size += alternative_size(&leaf->alternatives[i]);
  return size;
}

/* One alternative; falls through to what follows it when a condition fails. */
static void emit_alternative(struct krux_bpf_program* out, const struct krux_bpf_alternative* a,
                             uint32_t hit) {
  const size_t end = out->count + alternative_size(a);
  for (size_t i = 0; i < a->count; i++) {
    const struct krux_bpf_condition* c = &a->conditions[i];
    load(out, kOffsetArgs + kArgBytes * c->arg);
    if (c->mask != UINT32_MAX) emit(out, BPF_ALU | BPF_AND | BPF_K, 0, 0, c->mask);
    /* At most 3 · 3 + 1 instructions away. */
    emit(out, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)(end - out->count - 1), c->value);
  }
  ret(out, hit);
}

/* The slots the tree jumps to, one instruction each, then the bodies of the cases. */
static void emit_leaves(struct krux_bpf_program* out, const struct krux_bpf_leaf* leaves,
                        size_t n) {
  size_t body = out->count + n;
  for (size_t i = 0; i < n; i++) {
    if (leaves[i].count == 0) {
      ret(out, leaves[i].miss);
    } else {
      emit(out, BPF_JMP | BPF_JA, 0, 0, (uint32_t)(body - out->count - 1));
      body += leaf_size(&leaves[i]);
    }
  }
  for (size_t i = 0; i < n; i++) {
    if (leaves[i].count == 0) continue;
    for (size_t j = 0; j < leaves[i].count; j++) {
      emit_alternative(out, &leaves[i].alternatives[j], leaves[i].hit);
    }
    ret(out, leaves[i].miss);
  }
}

/* Architecture, x32, and the jump to the probe, which stands at the end of the program: the address
 * goes into the instruction *probe_jump. */
static void emit_head(struct krux_bpf_program* out, const struct krux_bpf_table* table,
                      size_t* probe_jump) {
  load(out, kOffsetArch);
  emit(out, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, table->audit_arch);
  ret(out, SECCOMP_RET_KILL_PROCESS);
  load(out, kOffsetNumber);
  if (table->has_x32) {
    emit(out, BPF_JMP | BPF_JGE | BPF_K, 0, 2, kX32Bit);
    emit(out, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, UINT32_MAX);
    ret(out, SECCOMP_RET_KILL_PROCESS);
  }
  emit(out, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, table->probe);
  *probe_jump = out->count;
  emit(out, BPF_JMP | BPF_JA, 0, 0, 0);
}

static int emit_probe(struct krux_bpf_program* out, const struct krux_bpf_table* table) {
  struct krux_bpf_range ranges[KRUX_BPF_CHUNKS + 1];
  for (uint32_t i = 0; i <= KRUX_BPF_CHUNKS; i++) {
    ranges[i] = (struct krux_bpf_range){.first = i, .leaf = i};
  }
  load(out, kOffsetArgs);
  const int error = emit_tree(out, ranges, KRUX_BPF_CHUNKS + 1);
  for (size_t i = 0; i < KRUX_BPF_CHUNKS; i++) {
    ret(out, SECCOMP_RET_ERRNO | krux_bpf_chunk(table->digest, i));
  }
  ret(out, table->probe_miss);
  return error;
}

static int valid(const struct krux_bpf_table* table) {
  if (table->range_count < 1 || table->range_count > KRUX_BPF_MAX_RANGES) return 0;
  if (table->leaf_count < 1 || table->leaf_count > KRUX_BPF_MAX_RANGES) return 0;
  if (table->ranges[0].first != 0) return 0;
  for (size_t i = 0; i < table->range_count; i++) {
    if (table->ranges[i].leaf >= table->leaf_count) return 0;
    if (table->ranges[i].first >= kX32Bit) return 0;
    if (i > 0 && table->ranges[i].first <= table->ranges[i - 1].first) return 0;
  }
  for (size_t i = 0; i < table->leaf_count; i++) {
    for (size_t j = 0; j < table->leaves[i].count; j++) {
      const struct krux_bpf_alternative* a = &table->leaves[i].alternatives[j];
      if (a->count < 1 || a->count > KRUX_BPF_MAX_CONDITIONS) return 0;
      for (size_t k = 0; k < a->count; k++) {
        if (a->conditions[k].arg > 5) return 0;
        if ((a->conditions[k].value & ~a->conditions[k].mask) != 0) return 0;
      }
    }
  }
  return 1;
}

uint32_t krux_bpf_chunk(const uint8_t digest[KRUX_BPF_DIGEST_BYTES], size_t i) {
  const size_t byte = i * KRUX_BPF_CHUNK_BITS / 8;
  if (i == KRUX_BPF_CHUNKS - 1) return digest[byte] & 0x0fu;
  if (i % 2 == 0) return (uint32_t)digest[byte] << 4 | (uint32_t)digest[byte + 1] >> 4;
  return ((uint32_t)digest[byte] & 0x0fu) << 8 | digest[byte + 1];
}

int krux_bpf_generate(const struct krux_bpf_table* table, struct krux_bpf_program* out) {
  size_t probe_jump = 0;
  out->count = 0;
  if (!valid(table)) return KRUX_BPF_EINPUT;
  emit_head(out, table, &probe_jump);
  const size_t tree = out->count;
  int error = emit_tree(out, table->ranges, table->range_count);
  if (error != 0) return error;
  out->tree_count = out->count - tree;
  emit_leaves(out, table->leaves, table->leaf_count);
  if (probe_jump < out->capacity) {
    out->insns[probe_jump].k = (uint32_t)(out->count - probe_jump - 1);
  }
  error = emit_probe(out, table);
  if (error != 0) return error;
  /* BPF_MAXINSNS (4096) is the kernel's own limit; the caller's buffer is smaller. */
  return out->count > out->capacity ? KRUX_BPF_ESPACE : 0;
}
