// RuleSet: a *.rules file read and resolved for one architecture, and the table that bpf_tree
// wants. Runs when krux is built and in tests; never in a daemon.
//
//   std::ifstream in("sandbox/seccomp/fs.rules");
//   RuleSet rules = ParseRules(in, "fs.rules", *FindArch("x86_64"));   // throws RuleError
//   std::vector<sock_filter> program = Compile(rules).insns;
//
// The language, one statement per line (a `\` at its end continues it), `#` starts a comment:
//   unlisted ERRNO                          what every number without a rule answers
//   number ARCH NAME N                      a system call that libseccomp does not know yet
//   allow NAME…                             whatever the arguments
//   refuse ERRNO NAME…                      whatever the arguments
//   kill NAME…                              whatever the arguments; the process ends with SIGSYS
//   allow NAME if COND [and COND]… else ERRNO     several lines for a NAME: any of them allows
//   refuse ERRNO NAME if COND [and COND]…         several lines for a NAME: any of them refuses
// COND is `argN == VALUE` or `argN & MASK == VALUE`, on the low 32 bits; VALUE and MASK are numbers
// or names of kernel constants joined by `|`. Order never matters: a NAME has one of the five
// forms.
#pragma once

#include <linux/filter.h>

#include <array>
#include <cstdint>
#include <istream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/seccomp/bpf_tree.h"

namespace krux::seccomp {

struct Arch {
  const char* name;
  uint32_t audit_arch;  // AUDIT_ARCH_*
  uint32_t libseccomp;  // SCMP_ARCH_*
  bool has_x32;
};
const Arch* FindArch(std::string_view name);

struct Rule {
  enum class Kind : uint8_t { kAllow, kRefuse, kKill, kAllowIf, kRefuseIf };
  Kind kind = Kind::kAllow;
  int error = 0;  // of kRefuse and kRefuseIf, and the `else` of kAllowIf
  std::vector<krux_bpf_alternative> alternatives;
  std::string name;
};

struct RuleSet {
  Arch arch;
  int unlisted = 0;                // errno
  std::map<uint32_t, Rule> rules;  // by number
};

class RuleError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Names that the architecture does not have are skipped; names nobody knows are an error.
RuleSet ParseRules(std::istream& in, std::string_view file, const Arch& arch);
// Several files as one set: a daemon's own list and what all daemons share.
RuleSet ParseRuleFiles(const std::vector<std::string>& paths, const Arch& arch);

struct Compiled {
  std::vector<sock_filter> insns;
  std::array<uint8_t, KRUX_BPF_DIGEST_BYTES> digest;
  size_t tree_count;
};

// Generates the program twice: once with an all-zero digest, whose SHA-256 (over the instructions
// as little-endian code, jt, jf, k) is the digest that the second one answers with.
Compiled Compile(const RuleSet& rules, uint32_t probe_number);

// SHA-256 of a program whose digest answers are zero.
std::array<uint8_t, KRUX_BPF_DIGEST_BYTES> DigestOf(const std::vector<sock_filter>& zeroed);

}  // namespace krux::seccomp
