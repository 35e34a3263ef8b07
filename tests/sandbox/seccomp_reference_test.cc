// The generated range tree and libseccomp's own export of the same rules decide alike, for every
// number, architecture and edge of an argument. Evaluated, not loaded.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>

#include "base/seccomp/rules.h"
#include "sandbox/seccomp.h"
#include "tests/sandbox/bpf_interpreter.h"

namespace krux::sandbox {
namespace {

using seccomp::Arch;
using seccomp::Compile;
using seccomp::FindArch;
using seccomp::ParseRules;
using seccomp::Rule;
using seccomp::RuleSet;
using testing::Evaluate;
using Program = std::vector<sock_filter>;

RuleSet Rules(const std::string& name, const char* arch) {
  std::ifstream in(std::string(KRUX_SOURCE_DIR "/sandbox/seccomp/") + name + ".rules");
  return ParseRules(in, name, *FindArch(arch));
}

seccomp_data Call(uint32_t number, uint32_t arch, std::initializer_list<uint64_t> args = {}) {
  seccomp_data call{};
  call.nr = static_cast<int>(number);
  call.arch = arch;
  size_t i = 0;
  for (const uint64_t arg : args) call.args[i++] = arg;
  return call;
}

// ------------------------------------------------------------------ libseccomp as the reference

using Context = std::unique_ptr<void, decltype(&seccomp_release)>;

Context NewContext(const Arch& arch, uint32_t default_action) {
  Context context(seccomp_init(default_action), seccomp_release);
  if (arch.libseccomp != seccomp_arch_native()) {
    EXPECT_EQ(seccomp_arch_remove(context.get(), seccomp_arch_native()), 0);
    EXPECT_EQ(seccomp_arch_add(context.get(), arch.libseccomp), 0);
  }
  EXPECT_EQ(seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
  return context;
}

Program Export(const Context& context) {
  const int fd = memfd_create("bpf", MFD_CLOEXEC);
  EXPECT_EQ(seccomp_export_bpf(context.get(), fd), 0);
  const off_t size = lseek(fd, 0, SEEK_END);
  Program program(static_cast<size_t>(size) / sizeof(sock_filter));
  EXPECT_EQ(pread(fd, program.data(), static_cast<size_t>(size), 0), size);
  close(fd);
  return program;
}

// libseccomp has one default action a filter. A rule with conditions has an `else` of its own, so
// it gets a filter of its own, whose default is that `else`; the others share one.
class Reference {
 public:
  explicit Reference(const RuleSet& set) {
    const uint32_t unlisted = SCMP_ACT_ERRNO(static_cast<uint32_t>(set.unlisted));
    const Context main = NewContext(set.arch, unlisted);
    for (const auto& [number, rule] : set.rules) {
      const uint32_t refuse = SCMP_ACT_ERRNO(static_cast<uint32_t>(rule.error));
      const int nr = NativeNumber(set.arch, number);
      if (nr == __NR_SCMP_ERROR) {
        unknown_.insert(number);
        continue;
      }
      switch (rule.kind) {
        case Rule::Kind::kAllow:
          EXPECT_EQ(seccomp_rule_add(main.get(), SCMP_ACT_ALLOW, nr, 0), 0) << rule.name;
          break;
        case Rule::Kind::kRefuse:
          // A rule that says what the default says is refused by libseccomp.
          if (refuse == unlisted) break;
          EXPECT_EQ(seccomp_rule_add(main.get(), refuse, nr, 0), 0) << rule.name;
          break;
        case Rule::Kind::kKill:
          EXPECT_EQ(seccomp_rule_add(main.get(), SCMP_ACT_KILL_PROCESS, nr, 0), 0) << rule.name;
          break;
        case Rule::Kind::kAllowIf:
          own_[number] = Conditional(set.arch, refuse, SCMP_ACT_ALLOW, nr, rule);
          break;
        case Rule::Kind::kRefuseIf:
          own_[number] = Conditional(set.arch, SCMP_ACT_ALLOW, refuse, nr, rule);
          break;
      }
    }
    main_ = Export(main);
  }

  uint32_t Decide(const seccomp_data& call) const {
    const auto own = own_.find(static_cast<uint32_t>(call.nr));
    return Evaluate(own == own_.end() ? main_ : own->second, call);
  }

  // Numbers that libseccomp cannot express for a foreign architecture: it has no name for them.
  bool Knows(uint32_t number) const { return !unknown_.contains(number); }

 private:
  // seccomp_rule_add(3) takes the machine's own number of a call, also in a foreign filter.
  static int NativeNumber(const Arch& arch, uint32_t number) {
    if (arch.libseccomp == seccomp_arch_native()) return static_cast<int>(number);
    char* name = seccomp_syscall_resolve_num_arch(arch.libseccomp, static_cast<int>(number));
    if (name == nullptr) return __NR_SCMP_ERROR;
    const int native = seccomp_syscall_resolve_name(name);
    std::free(name);
    return native;
  }

  static Program Conditional(const Arch& arch, uint32_t otherwise, uint32_t action, int number,
                             const Rule& rule) {
    const Context context = NewContext(arch, otherwise);
    for (const krux_bpf_alternative& alternative : rule.alternatives) {
      std::vector<scmp_arg_cmp> conditions;
      for (size_t i = 0; i < alternative.count; i++) {
        const krux_bpf_condition& c = alternative.conditions[i];
        conditions.push_back({c.arg, SCMP_CMP_MASKED_EQ, c.mask, c.value});
      }
      EXPECT_EQ(seccomp_rule_add_array(context.get(), action, number,
                                       static_cast<unsigned>(conditions.size()), conditions.data()),
                0)
          << rule.name;
    }
    return Export(context);
  }

  Program main_;
  std::map<uint32_t, Program> own_;
  std::set<uint32_t> unknown_;
};

// Values around everything a rule compares with, each also with a high half set.
std::vector<uint64_t> EdgeValues(const RuleSet& set, uint32_t number) {
  std::set<uint64_t> low = {0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xffffffff};
  for (uint32_t bit = 0; bit < 32; bit++) low.insert(1u << bit);
  if (const auto it = set.rules.find(number); it != set.rules.end()) {
    for (const krux_bpf_alternative& a : it->second.alternatives) {
      for (size_t i = 0; i < a.count; i++) {
        for (const uint32_t base : {a.conditions[i].mask, a.conditions[i].value}) {
          for (const uint32_t v : {base, base - 1, base + 1, ~base, base | 0x80800}) low.insert(v);
        }
      }
    }
  }
  std::vector<uint64_t> values(low.begin(), low.end());
  for (const uint64_t v : low) values.push_back(v | 0xdeadbeef'00000000);
  return values;
}

// Every pair of arguments that the number's rule looks at, over the edge values.
void CompareArguments(const Program& ours, const Reference& reference, const RuleSet& set,
                      uint32_t number) {
  const std::vector<uint64_t> values = EdgeValues(set, number);
  std::set<uint32_t> args;
  for (const krux_bpf_alternative& a : set.rules.at(number).alternatives) {
    for (size_t i = 0; i < a.count; i++) args.insert(a.conditions[i].arg);
  }
  const uint32_t first = *args.begin();
  const uint32_t second = *args.rbegin();
  for (const uint64_t x : values) {
    for (const uint64_t y : values) {
      seccomp_data call = Call(number, set.arch.audit_arch);
      std::memset(call.args, 0x5a, sizeof call.args);
      call.args[first] = x;
      call.args[second] = y;
      ASSERT_EQ(Evaluate(ours, call), reference.Decide(call))
          << set.rules.at(number).name << " " << std::hex << x << " " << y;
    }
  }
}

class EqualToLibseccomp : public ::testing::TestWithParam<std::pair<const char*, const char*>> {
 protected:
  RuleSet set_ = Rules(GetParam().first, GetParam().second);
  Program ours_ = Compile(set_, kProbeSyscall).insns;
  Reference reference_{set_};
};

std::vector<uint32_t> Numbers() {
  std::vector<uint32_t> numbers;
  for (uint32_t n = 0; n <= 600; n++) numbers.push_back(n);
  for (uint32_t n = 0; n <= 600; n++) numbers.push_back(0x40000000 + n);
  for (const uint32_t n : {1023u, 1024u, 0xffffu, 0x10000u, 0x3fffffffu, 0x7fffffffu, 0x80000000u,
                           0x80000001u, 0xc0000000u, 0xfffffe00u, 0xfffffffeu, 0xffffffffu}) {
    numbers.push_back(n);
  }
  for (const uint32_t d : {1u, 2u}) {
    numbers.push_back(kProbeSyscall - d);
    numbers.push_back(kProbeSyscall + d);
  }
  return numbers;
}

TEST_P(EqualToLibseccomp, EveryNumberOnEveryArchitecture) {
  const uint32_t archs[] = {AUDIT_ARCH_X86_64,  AUDIT_ARCH_I386,    AUDIT_ARCH_AARCH64,
                            AUDIT_ARCH_ARM,     AUDIT_ARCH_RISCV64, AUDIT_ARCH_S390X,
                            AUDIT_ARCH_PPC64LE, AUDIT_ARCH_MIPS64,  0u,
                            0xffffffffu};
  for (const uint32_t arch : archs) {
    for (const uint32_t number : Numbers()) {
      if (!reference_.Knows(number)) continue;
      for (const uint64_t arg : {uint64_t{0}, ~uint64_t{0}, uint64_t{0xdeadbeef'00000000}}) {
        const seccomp_data call = Call(number, arch, {arg, arg, arg, arg, arg, arg});
        ASSERT_EQ(Evaluate(ours_, call), reference_.Decide(call))
            << "number " << number << " arch " << std::hex << arch << " arg " << arg;
      }
    }
  }
}

TEST_P(EqualToLibseccomp, EveryConditionAtItsEdges) {
  size_t conditional = 0;
  for (const auto& [number, rule] : set_.rules) {
    if (rule.alternatives.empty() || !reference_.Knows(number)) continue;
    conditional++;
    CompareArguments(ours_, reference_, set_, number);
  }
  EXPECT_GT(conditional, 3u);
}

INSTANTIATE_TEST_SUITE_P(All, EqualToLibseccomp,
                         ::testing::Values(std::pair{"fs", "x86_64"}, std::pair{"write", "x86_64"},
                                           std::pair{"exec", "x86_64"}, std::pair{"fs", "aarch64"},
                                           std::pair{"write", "aarch64"},
                                           std::pair{"exec", "aarch64"}),
                         [](const auto& test) {
                           return std::string(test.param.first) + "_" + test.param.second;
                         });

}  // namespace
}  // namespace krux::sandbox
