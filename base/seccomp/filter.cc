#include "base/seccomp/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/seccomp/bpf_tree.h"

namespace krux {
namespace {

// What the loaded filter answers for chunk `i`: the kernel returns the data of SECCOMP_RET_ERRNO
// negated, which libc puts into errno; data 0 is a plain 0.
int Chunk(long i) { return syscall(kProbeSyscall, i) == 0 ? 0 : errno; }

}  // namespace

int LoadFilter(const CompiledFilter& filter) {
  const sock_fprog program = {filter.count, const_cast<sock_filter*>(filter.insns)};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0u, &program) == 0 ? 0 : -errno;
}

int ProbeFilterDigest(uint8_t out[kFilterDigestBytes]) {
  // Without a filter every number answers ENOSYS; a digest cannot, its last chunk has 4 bits.
  if (Chunk(KRUX_BPF_CHUNKS - 1) > 0xf) return -ENOSYS;
  for (size_t i = 0; i < kFilterDigestBytes; i++) out[i] = 0;
  size_t bit = 0;
  for (long i = 0; i < KRUX_BPF_CHUNKS; i++) {
    const int width = i == KRUX_BPF_CHUNKS - 1 ? 4 : KRUX_BPF_CHUNK_BITS;
    const int chunk = Chunk(i);
    for (int b = width - 1; b >= 0; b--, bit++) {
      if ((chunk >> b & 1) != 0)
        out[bit / 8] = static_cast<uint8_t>(out[bit / 8] | 0x80 >> bit % 8);
    }
  }
  return 0;
}

int LoadFilterAndProve(const CompiledFilter& filter) {
  if (const int error = LoadFilter(filter); error < 0) return error;
  uint8_t digest[kFilterDigestBytes];
  if (ProbeFilterDigest(digest) != 0) return -EPROTO;
  return memcmp(digest, filter.digest, sizeof(digest)) == 0 ? 0 : -EPROTO;
}

}  // namespace krux
