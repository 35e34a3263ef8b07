#include "tests/sandbox/bpf_interpreter.h"

#include <linux/bpf_common.h>

#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace krux::sandbox::testing {
namespace {

[[noreturn]] void Bad(size_t pc, const char* why) {
  throw std::runtime_error("instruction " + std::to_string(pc) + ": " + why);
}

bool Jumps(const sock_filter& i, uint32_t a, size_t pc) {
  switch (BPF_OP(i.code)) {
    case BPF_JEQ:
      return a == i.k;
    case BPF_JGE:
      return a >= i.k;
    case BPF_JGT:
      return a > i.k;
    case BPF_JSET:
      return (a & i.k) != 0;
    default:
      Bad(pc, "unknown jump");
  }
}

std::string Action(uint32_t k) {
  char text[48];
  switch (k & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
      return "ret allow";
    case SECCOMP_RET_KILL_PROCESS:
      return "ret kill_process";
    case SECCOMP_RET_ERRNO:
      std::snprintf(text, sizeof text, "ret errno %u", k & SECCOMP_RET_DATA);
      return text;
    default:
      std::snprintf(text, sizeof text, "ret 0x%08x", k);
      return text;
  }
}

std::string Instruction(const sock_filter& i, size_t pc) {
  char text[96];
  switch (i.code) {
    case BPF_LD | BPF_W | BPF_ABS:
      if (i.k == 0) return "load number";
      if (i.k == 4) return "load arch";
      std::snprintf(text, sizeof text, "load arg%u.%s", (i.k - 16) / 8,
                    i.k % 8 == 0 ? "low" : "high");
      return text;
    case BPF_ALU | BPF_AND | BPF_K:
      std::snprintf(text, sizeof text, "and 0x%x", i.k);
      return text;
    case BPF_RET | BPF_K:
      return Action(i.k);
    case BPF_JMP | BPF_JA:
      std::snprintf(text, sizeof text, "goto %zu", pc + 1 + i.k);
      return text;
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_JMP | BPF_JGE | BPF_K:
      std::snprintf(text, sizeof text, "if %s 0x%x goto %zu else %zu",
                    BPF_OP(i.code) == BPF_JEQ ? "==" : ">=", i.k, pc + 1 + i.jt, pc + 1 + i.jf);
      return text;
    default:
      std::snprintf(text, sizeof text, "0x%x %u %u 0x%x", i.code, i.jt, i.jf, i.k);
      return text;
  }
}

}  // namespace

uint32_t Evaluate(std::span<const sock_filter> insns, const seccomp_data& call) {
  uint32_t a = 0;
  for (size_t pc = 0; pc < insns.size(); pc++) {
    const sock_filter& i = insns[pc];
    switch (BPF_CLASS(i.code)) {
      case BPF_LD:
        if (i.code != (BPF_LD | BPF_W | BPF_ABS)) Bad(pc, "unknown load");
        if (i.k % 4 != 0 || i.k + 4 > sizeof call) Bad(pc, "load outside seccomp_data");
        std::memcpy(&a, reinterpret_cast<const char*>(&call) + i.k, sizeof a);
        break;
      case BPF_ALU:
        if (i.code != (BPF_ALU | BPF_AND | BPF_K)) Bad(pc, "unknown operation");
        a &= i.k;
        break;
      case BPF_JMP:
        if (BPF_OP(i.code) == BPF_JA) {
          pc += i.k;
        } else {
          pc += Jumps(i, a, pc) ? i.jt : i.jf;
        }
        break;
      case BPF_RET:
        return i.k;
      default:
        Bad(pc, "unknown class");
    }
  }
  throw std::runtime_error("ran off the end");
}

std::string Disassemble(std::span<const sock_filter> insns) {
  std::string out;
  for (size_t pc = 0; pc < insns.size(); pc++) {
    std::string number = std::to_string(pc);
    number.insert(0, number.size() < 4 ? 4 - number.size() : 0, ' ');
    out += number + ": " + Instruction(insns[pc], pc) + "\n";
  }
  return out;
}

}  // namespace krux::sandbox::testing
