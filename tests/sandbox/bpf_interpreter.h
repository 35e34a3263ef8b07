// A user-space evaluator and a disassembler of classic BPF as seccomp(2) uses it: what a filter
// decides can be tested without loading it.
//
//   seccomp_data call = {.nr = SYS_read, .arch = AUDIT_ARCH_X86_64, …};
//   uint32_t action = Evaluate(insns, call);   // SECCOMP_RET_*
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <span>
#include <string>

namespace krux::sandbox::testing {

// Throws std::runtime_error on anything the kernel's checker would refuse.
uint32_t Evaluate(std::span<const sock_filter> insns, const seccomp_data& call);

// One instruction a line: "  7: jge 0x2a, 12, 9".
std::string Disassemble(std::span<const sock_filter> insns);

}  // namespace krux::sandbox::testing
