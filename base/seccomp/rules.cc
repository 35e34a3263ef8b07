#include "base/seccomp/rules.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <openssl/evp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <utility>

namespace krux::seccomp {
namespace {

struct Constant {
  const char* name;
  uint32_t value;
};

// Kernel constants that rules may name. They come from the headers of the machine that builds;
// those listed are the same numbers on x86_64 and aarch64 (O_DIRECTORY and O_NOFOLLOW are not).
// __O_TMPFILE is the kernel's one bit: that of glibc holds O_DIRECTORY as well, and a rule with it
// would judge every opendir(3) by a mode that nobody passed.
#define C(name) \
  Constant { #name, static_cast<uint32_t>(name) }
// clang-format off
constexpr Constant kConstants[] = {
    C(O_ACCMODE), C(O_WRONLY), C(O_CREAT), C(O_EXCL), C(O_TRUNC), {"__O_TMPFILE", 020000000}, C(PROT_EXEC),
    C(S_ISUID), C(S_ISGID), C(S_ISVTX), C(RENAME_WHITEOUT),
    C(AF_UNIX), C(SOCK_STREAM), C(SOCK_SEQPACKET),
    C(CLONE_NEWNS), C(CLONE_NEWCGROUP), C(CLONE_NEWUTS), C(CLONE_NEWIPC), C(CLONE_NEWUSER),
    C(CLONE_NEWPID), C(CLONE_NEWNET),
    C(CLONE_THREAD), C(MS_REC), C(MS_SLAVE),
    C(AF_INET), C(AF_NETLINK), C(SOCK_RAW), C(NETLINK_NETFILTER),
    C(SOL_SOCKET), C(SO_PASSCRED), C(SO_SNDBUF), C(SO_RCVBUF),
    C(TIOCSTI), C(TIOCLINUX), C(TIOCSETD), C(TCGETS), C(FS_IOC_GETFLAGS), C(FS_IOC_SETFLAGS),
    C(F_GETFD), C(F_SETFD), C(F_GETFL), C(F_SETFL), C(F_DUPFD_CLOEXEC), C(F_OFD_SETLK),
    C(F_GET_SEALS), C(F_ADD_SEALS),
    C(PR_GET_SECUREBITS), C(PR_GET_PDEATHSIG), C(PR_GET_DUMPABLE), C(PR_GET_NO_NEW_PRIVS),
};
// clang-format on
constexpr Constant kErrors[] = {C(EPERM), C(ENOSYS), C(EACCES), C(EAFNOSUPPORT)};
#undef C

constexpr Arch kArchs[] = {
    {"x86_64", AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64, true},
    {"aarch64", AUDIT_ARCH_AARCH64, SCMP_ARCH_AARCH64, false},
};

class Parser {
 public:
  Parser(std::string_view file, const Arch& arch) : file_(file) { set_.arch = arch; }

  // From here on lines belong to another file of the same set.
  void File(std::string_view name) {
    file_ = name;
    number_ = 0;
  }

  void Line(const std::string& line) {
    number_++;
    std::istringstream in(line.substr(0, line.find('#')));
    words_.clear();
    next_ = 0;
    for (std::string word; in >> word;) words_.push_back(word);
    if (words_.empty()) return;
    const std::string verb = Word("a statement");
    if (verb == "unlisted") {
      set_.unlisted = Errno();
    } else if (verb == "number") {
      Number();
    } else if (verb == "allow") {
      Names(Rule{Rule::Kind::kAllow, 0, {}, {}});
    } else if (verb == "refuse") {
      Names(Rule{Rule::Kind::kRefuse, Errno(), {}, {}});
    } else if (verb == "kill") {
      Names(Rule{Rule::Kind::kKill, 0, {}, {}});
    } else {
      Fail("unknown statement `" + verb + "`");
    }
    if (next_ != words_.size()) Fail("unexpected `" + words_[next_] + "`");
  }

  RuleSet Finish() {
    if (set_.unlisted == 0) Fail("no `unlisted` statement");
    return std::move(set_);
  }

 private:
  [[noreturn]] void Fail(const std::string& why) const {
    throw RuleError(file_ + ":" + std::to_string(number_) + ": " + why);
  }

  bool More() const { return next_ < words_.size(); }
  bool Accept(std::string_view word) {
    if (!More() || words_[next_] != word) return false;
    next_++;
    return true;
  }
  std::string Word(const char* what) {
    if (!More()) Fail(std::string("expected ") + what);
    return words_[next_++];
  }
  void Expect(std::string_view word) {
    if (!Accept(word)) Fail("expected `" + std::string(word) + "`");
  }

  int Errno() {
    const std::string name = Word("an errno name");
    for (const Constant& c : kErrors) {
      if (name == c.name) return static_cast<int>(c.value);
    }
    Fail("unknown errno `" + name + "`");
  }

  // NAME|NAME|0x10
  uint32_t Value() {
    std::istringstream in(Word("a value"));
    uint32_t value = 0;
    for (std::string part; std::getline(in, part, '|');) value |= One(part);
    return value;
  }
  uint32_t One(const std::string& part) const {
    for (const Constant& c : kConstants) {
      if (part == c.name) return c.value;
    }
    try {
      size_t used = 0;
      const unsigned long value = std::stoul(part, &used, 0);
      if (used == part.size() && value <= UINT32_MAX) return static_cast<uint32_t>(value);
    } catch (const std::logic_error&) {
      // Not a number: said below.
    }
    Fail("unknown value `" + part + "`");
  }

  krux_bpf_condition Condition() {
    const std::string arg = Word("an argument");
    if (arg.size() != 4 || !arg.starts_with("arg") || arg[3] < '0' || arg[3] > '5') {
      Fail("expected arg0…arg5, not `" + arg + "`");
    }
    krux_bpf_condition c{static_cast<uint32_t>(arg[3] - '0'), UINT32_MAX, 0};
    if (Accept("&")) c.mask = Value();
    Expect("==");
    c.value = Value();
    if ((c.value & ~c.mask) != 0) Fail("the value has bits outside the mask");
    return c;
  }

  void Conditions(Rule* rule) {
    if (rule->kind == Rule::Kind::kKill) Fail("`kill` has no conditions");
    krux_bpf_alternative alternative{};
    do {
      if (alternative.count == KRUX_BPF_MAX_CONDITIONS) Fail("too many conditions");
      alternative.conditions[alternative.count++] = Condition();
    } while (Accept("and"));
    rule->alternatives.push_back(alternative);
    const bool allow = rule->kind == Rule::Kind::kAllow;
    rule->kind = allow ? Rule::Kind::kAllowIf : Rule::Kind::kRefuseIf;
    if (allow) {
      Expect("else");
      rule->error = Errno();
    }
  }

  void Names(Rule rule) {
    std::vector<std::string> names;
    while (More() && words_[next_] != "if") names.push_back(Word("a name"));
    if (names.empty()) Fail("expected the name of a system call");
    if (Accept("if")) Conditions(&rule);
    for (const std::string& name : names) {
      rule.name = name;
      if (const std::optional<uint32_t> number = Resolve(name)) Add(*number, rule);
    }
  }

  void Add(uint32_t number, const Rule& rule) {
    const auto [it, is_new] = set_.rules.try_emplace(number, rule);
    if (is_new) return;
    Rule& old = it->second;
    if (rule.alternatives.empty() || old.kind != rule.kind || old.error != rule.error) {
      Fail("`" + rule.name + "` already has a rule of another form");
    }
    old.alternatives.push_back(rule.alternatives.front());
  }

  void Number() {
    const std::string arch = Word("an architecture");
    const std::string name = Word("a name");
    const uint32_t value = One(Word("a number"));
    if (FindArch(arch) == nullptr) Fail("unknown architecture `" + arch + "`");
    if (arch == set_.arch.name) numbers_[name] = value;
    known_[name] = true;
  }

  // nullopt: the architecture does not have it (libseccomp's negative pseudo numbers).
  std::optional<uint32_t> Resolve(const std::string& name) const {
    const int real = seccomp_syscall_resolve_name_arch(set_.arch.libseccomp, name.c_str());
    if (real >= 0) return static_cast<uint32_t>(real);
    if (const auto it = numbers_.find(name); it != numbers_.end()) return it->second;
    if (real == __NR_SCMP_ERROR && !known_.contains(name)) {
      Fail("unknown system call `" + name + "`; a `number` statement can name a new one");
    }
    return std::nullopt;
  }

  std::string file_;
  int number_ = 0;
  std::vector<std::string> words_;
  size_t next_ = 0;
  std::map<std::string, uint32_t> numbers_;
  std::map<std::string, bool> known_;
  RuleSet set_;
};

void ReadLines(std::istream& in, Parser* parser) {
  std::string statement;
  for (std::string line; std::getline(in, line);) {
    const bool goes_on = line.ends_with('\\');
    if (goes_on) line.back() = ' ';
    statement += line;
    if (!goes_on) parser->Line(std::exchange(statement, {}));
  }
  parser->Line(statement);
}

uint32_t ErrnoAction(int error) { return SECCOMP_RET_ERRNO | static_cast<uint32_t>(error); }

krux_bpf_leaf LeafOf(const Rule& rule) {
  const bool allows = rule.kind == Rule::Kind::kAllow || rule.kind == Rule::Kind::kAllowIf;
  krux_bpf_leaf leaf{rule.alternatives.data(), rule.alternatives.size(), 0, 0};
  if (rule.kind == Rule::Kind::kKill) {
    leaf.miss = SECCOMP_RET_KILL_PROCESS;
  } else if (leaf.count == 0) {
    leaf.miss = allows ? SECCOMP_RET_ALLOW : ErrnoAction(rule.error);
  } else {
    leaf.hit = allows ? SECCOMP_RET_ALLOW : ErrnoAction(rule.error);
    leaf.miss = allows ? ErrnoAction(rule.error) : SECCOMP_RET_ALLOW;
  }
  return leaf;
}

bool SameAlternative(const krux_bpf_alternative& a, const krux_bpf_alternative& b) {
  if (a.count != b.count) return false;
  for (size_t i = 0; i < a.count; i++) {
    const krux_bpf_condition &x = a.conditions[i], &y = b.conditions[i];
    if (x.arg != y.arg || x.mask != y.mask || x.value != y.value) return false;
  }
  return true;
}

bool Same(const krux_bpf_leaf& a, const krux_bpf_leaf& b) {
  if (a.count != b.count || a.miss != b.miss || (a.count > 0 && a.hit != b.hit)) return false;
  for (size_t i = 0; i < a.count; i++) {
    if (!SameAlternative(a.alternatives[i], b.alternatives[i])) return false;
  }
  return true;
}

// Ranges and leaves without repetition.
struct Tables {
  std::vector<krux_bpf_range> ranges;
  std::vector<krux_bpf_leaf> leaves;

  void Add(uint32_t first, const krux_bpf_leaf& leaf) {
    size_t i = 0;
    while (i < leaves.size() && !Same(leaves[i], leaf)) i++;
    if (i == leaves.size()) leaves.push_back(leaf);
    if (!ranges.empty() && ranges.back().leaf == i) return;
    ranges.push_back({first, static_cast<uint32_t>(i)});
  }
};

Tables TablesOf(const RuleSet& set) {
  const krux_bpf_leaf unlisted{nullptr, 0, 0, ErrnoAction(set.unlisted)};
  Tables tables;
  uint32_t next = 0;
  for (const auto& [number, rule] : set.rules) {
    if (number > next) tables.Add(next, unlisted);
    tables.Add(number, LeafOf(rule));
    next = number + 1;
  }
  tables.Add(next, unlisted);
  return tables;
}

}  // namespace

const Arch* FindArch(std::string_view name) {
  for (const Arch& arch : kArchs) {
    if (name == arch.name) return &arch;
  }
  return nullptr;
}

RuleSet ParseRules(std::istream& in, std::string_view file, const Arch& arch) {
  Parser parser(file, arch);
  ReadLines(in, &parser);
  return parser.Finish();
}

RuleSet ParseRuleFiles(const std::vector<std::string>& paths, const Arch& arch) {
  Parser parser("", arch);
  for (const std::string& path : paths) {
    std::ifstream in(path);
    if (!in) throw RuleError("cannot read `" + path + "`");
    parser.File(path);
    ReadLines(in, &parser);
  }
  return parser.Finish();
}

std::array<uint8_t, KRUX_BPF_DIGEST_BYTES> DigestOf(const std::vector<sock_filter>& zeroed) {
  std::vector<uint8_t> bytes;
  for (const sock_filter& i : zeroed) {
    bytes.insert(bytes.end(),
                 {static_cast<uint8_t>(i.code), static_cast<uint8_t>(i.code >> 8), i.jt, i.jf});
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<uint8_t>(i.k >> shift));
  }
  std::array<uint8_t, KRUX_BPF_DIGEST_BYTES> digest{};
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) {
    throw RuleError("sha-256 is not available");
  }
  return digest;
}

Compiled Compile(const RuleSet& rules, uint32_t probe_number) {
  const Tables tables = TablesOf(rules);
  krux_bpf_table table{rules.arch.audit_arch,
                       rules.arch.has_x32 ? 1 : 0,
                       probe_number,
                       ErrnoAction(rules.unlisted),
                       {},
                       tables.ranges.data(),
                       tables.ranges.size(),
                       tables.leaves.data(),
                       tables.leaves.size()};
  Compiled result{std::vector<sock_filter>(1024), {}, 0};
  krux_bpf_program program{result.insns.data(), result.insns.size(), 0, 0};
  if (const int error = krux_bpf_generate(&table, &program); error != 0) {
    throw RuleError("bpf_tree: error " + std::to_string(error));
  }
  result.insns.resize(program.count);
  result.digest = DigestOf(result.insns);
  std::copy(result.digest.begin(), result.digest.end(), table.digest);
  program = {result.insns.data(), result.insns.size(), 0, 0};
  if (const int error = krux_bpf_generate(&table, &program); error != 0) {
    throw RuleError("bpf_tree: error " + std::to_string(error));
  }
  result.tree_count = program.tree_count;
  return result;
}

}  // namespace krux::seccomp
