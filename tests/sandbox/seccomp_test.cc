// What the compiled filters decide, evaluated without loading them: rows written by hand, their
// identity, the golden listings; and what the rule language refuses.
#include "sandbox/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

#include "base/seccomp/rules.h"
#include "tests/sandbox/bpf_interpreter.h"

namespace krux::sandbox {
namespace {

using seccomp::Compile;
using seccomp::FindArch;
using seccomp::ParseRules;
using seccomp::RuleError;
using seccomp::RuleSet;
using testing::Disassemble;
using testing::Evaluate;
using Program = std::vector<sock_filter>;

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr uint32_t kKill = SECCOMP_RET_KILL_PROCESS;
constexpr uint32_t Refuse(int error) { return SECCOMP_RET_ERRNO | static_cast<uint32_t>(error); }

RuleSet RulesFromText(const std::string& text) {
  std::istringstream in(text);
  return ParseRules(in, "text", *FindArch("x86_64"));
}

seccomp_data Call(uint32_t number, uint32_t arch, std::initializer_list<uint64_t> args = {}) {
  seccomp_data call{};
  call.nr = static_cast<int>(number);
  call.arch = arch;
  size_t i = 0;
  for (const uint64_t arg : args) call.args[i++] = arg;
  return call;
}

// ------------------------------------------------------------------ rows written by hand

#ifdef __x86_64__

constexpr uint64_t kHigh = 0x1'00000000;

struct Row {
  const char* what;
  WorkClass work_class;
  long number;
  std::vector<uint64_t> args;
  uint32_t expected;
};

TEST(Filter, DecidesAsTheDesignSays) {
  const WorkClass fs = WorkClass::kFs, exec = WorkClass::kExec, write = WorkClass::kWrite;
  constexpr int kFresh = O_WRONLY | O_CREAT | O_EXCL;
  const Row rows[] = {
      {"fs: read", fs, SYS_read, {}, kAllow},
      {"fs: openat2", fs, SYS_openat2, {}, Refuse(ENOSYS)},
      {"fs: opendir", fs, SYS_openat, {0, 0, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 04755}, kAllow},
      {"fs: openat to write", fs, SYS_openat, {0, 0, O_WRONLY}, Refuse(EPERM)},
      {"fs: openat to create", fs, SYS_openat, {0, 0, O_RDONLY | O_CREAT}, Refuse(EPERM)},
      {"fs: openat to read", fs, SYS_openat, {0, 0, O_RDONLY | O_CLOEXEC | O_PATH}, kAllow},
      {"fs: execve", fs, SYS_execve, {}, Refuse(ENOSYS)},
      {"fs: clone", fs, SYS_clone, {}, Refuse(ENOSYS)},
      {"fs: mmap executable", fs, SYS_mmap, {0, 1, PROT_READ | PROT_EXEC}, Refuse(EPERM)},
      {"fs: mmap readable", fs, SYS_mmap, {0, 1, PROT_READ}, kAllow},
      {"fs: socketpair", fs, SYS_socketpair, {AF_UNIX, SOCK_STREAM}, Refuse(EPERM)},
      {"fs: ioctl", fs, SYS_ioctl, {}, Refuse(ENOSYS)},
      {"fs: unlink", fs, SYS_unlink, {}, Refuse(ENOSYS)},
      {"fs: prctl may not set", fs, SYS_prctl, {4}, Refuse(EPERM)},
      {"write: openat to read", write, SYS_openat, {0, 0, O_RDONLY | O_NOFOLLOW, 04755}, kAllow},
      {"write: openat by name", write, SYS_openat, {0, 0, O_PATH | O_DIRECTORY}, kAllow},
      {"write: a new file", write, SYS_openat, {0, 0, kFresh | O_CLOEXEC, 0600}, kAllow},
      {"write: a new file of another mode", write, SYS_openat, {0, 0, kFresh, 0644}, Refuse(EPERM)},
      {"write: a new setuid file", write, SYS_openat, {0, 0, kFresh, 04600}, Refuse(EPERM)},
      {"write: a new file to read too",
       write,
       SYS_openat,
       {0, 0, O_RDWR | O_CREAT | O_EXCL, 0600},
       Refuse(EPERM)},
      {"write: perhaps an old file",
       write,
       SYS_openat,
       {0, 0, O_WRONLY | O_CREAT, 0600},
       Refuse(EPERM)},
      {"write: an old file", write, SYS_openat, {0, 0, O_WRONLY, 0600}, Refuse(EPERM)},
      {"write: an old file, to read and write", write, SYS_openat, {0, 0, O_RDWR}, Refuse(EPERM)},
      {"write: an old file, cut", write, SYS_openat, {0, 0, O_RDONLY | O_TRUNC}, Refuse(EPERM)},
      {"write: a file without a name",
       write,
       SYS_openat,
       {0, 0, O_TMPFILE | O_WRONLY, 0600},
       Refuse(EPERM)},
      {"write: openat2", write, SYS_openat2, {}, Refuse(ENOSYS)},
      {"write: creat", write, SYS_creat, {0, 0600}, Refuse(EPERM)},
      {"write: truncate", write, SYS_truncate, {}, Refuse(ENOSYS)},
      {"write: ftruncate", write, SYS_ftruncate, {}, Refuse(ENOSYS)},
      {"write: fchmod 0755", write, SYS_fchmod, {0, 0755}, kAllow},
      {"write: fchmod 4755", write, SYS_fchmod, {0, 04755}, Refuse(EPERM)},
      {"write: fchmod 2755", write, SYS_fchmod, {0, 02755}, Refuse(EPERM)},
      {"write: fchmod 1777", write, SYS_fchmod, {0, 01777}, Refuse(EPERM)},
      {"write: chmod", write, SYS_chmod, {0, 0755}, Refuse(EPERM)},
      {"write: fchmodat", write, SYS_fchmodat, {0, 0, 0755}, Refuse(EPERM)},
      {"write: fchmodat2", write, 452, {0, 0, 0755}, Refuse(ENOSYS)},
      {"write: fchown", write, SYS_fchown, {}, Refuse(ENOSYS)},
      {"write: renameat2", write, SYS_renameat2, {0, 0, 0, 0, 0}, kAllow},
      {"write: renameat2, nothing replaced", write, SYS_renameat2, {0, 0, 0, 0, 1}, kAllow},
      {"write: renameat2, exchange", write, SYS_renameat2, {0, 0, 0, 0, 2}, Refuse(EPERM)},
      {"exec: renameat2", exec, SYS_renameat2, {0, 0, 0, 0, 2}, kAllow},
      {"exec: renameat2, whiteout", exec, SYS_renameat2, {0, 0, 0, 0, 4}, Refuse(EPERM)},
      {"exec: renameat2, high half",
       exec,
       SYS_renameat2,
       {0, 0, 0, 0, 1ull << 32 | 5},
       Refuse(EPERM)},
      {"write: renameat2, whiteout", write, SYS_renameat2, {0, 0, 0, 0, 4}, Refuse(EPERM)},
      {"write: unlinkat", write, SYS_unlinkat, {0, 0, 0}, kAllow},
      {"write: rmdir by unlinkat", write, SYS_unlinkat, {0, 0, AT_REMOVEDIR}, Refuse(EPERM)},
      {"write: linkat", write, SYS_linkat, {}, Refuse(ENOSYS)},
      {"write: symlinkat", write, SYS_symlinkat, {}, Refuse(ENOSYS)},
      {"write: mkdirat", write, SYS_mkdirat, {0, 0, 0755}, Refuse(EPERM)},
      {"write: mknodat", write, SYS_mknodat, {0, 0, 0100600}, Refuse(EPERM)},
      {"write: setxattr", write, SYS_fsetxattr, {}, Refuse(ENOSYS)},
      {"write: execve", write, SYS_execve, {}, Refuse(ENOSYS)},
      {"write: clone", write, SYS_clone, {}, Refuse(ENOSYS)},
      {"write: mmap executable", write, SYS_mmap, {0, 1, PROT_READ | PROT_EXEC}, Refuse(EPERM)},
      {"write: socketpair", write, SYS_socketpair, {AF_UNIX, SOCK_STREAM}, Refuse(EPERM)},
      {"write: prctl may not set", write, SYS_prctl, {4}, Refuse(EPERM)},
      {"exec: execve", exec, SYS_execve, {}, kAllow},
      {"exec: openat2", exec, SYS_openat2, {}, Refuse(ENOSYS)},
      {"exec: clone3", exec, SYS_clone3, {}, Refuse(ENOSYS)},
      {"exec: fork by clone", exec, SYS_clone, {CLONE_CHILD_SETTID | SIGCHLD}, kAllow},
      {"exec: user namespace", exec, SYS_clone, {CLONE_NEWUSER | SIGCHLD}, Refuse(EPERM)},
      {"exec: network namespace", exec, SYS_clone, {CLONE_NEWNET | kHigh}, Refuse(EPERM)},
      {"exec: unshare", exec, SYS_unshare, {}, Refuse(EPERM)},
      {"exec: mount", exec, SYS_mount, {}, Refuse(EPERM)},
      {"exec: ptrace", exec, SYS_ptrace, {}, Refuse(EPERM)},
      {"exec: bpf", exec, SYS_bpf, {}, Refuse(EPERM)},
      {"exec: io_uring", exec, SYS_io_uring_setup, {}, Refuse(ENOSYS)},
      {"exec: a call of the future", exec, 599, {}, Refuse(ENOSYS)},
      {"exec: stream pair", exec, SYS_socketpair, {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC}, kAllow},
      {"exec: seqpacket pair",
       exec,
       SYS_socketpair,
       {AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK},
       kAllow},
      {"exec: datagram pair", exec, SYS_socketpair, {AF_UNIX, SOCK_DGRAM}, Refuse(EPERM)},
      {"exec: datagram pair, flags",
       exec,
       SYS_socketpair,
       {AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC},
       Refuse(EPERM)},
      {"exec: datagram pair, high half",
       exec,
       SYS_socketpair,
       {AF_UNIX, SOCK_DGRAM | kHigh},
       Refuse(EPERM)},
      {"exec: raw pair", exec, SYS_socketpair, {AF_UNIX, SOCK_RAW}, Refuse(EPERM)},
      {"exec: tipc pair", exec, SYS_socketpair, {AF_TIPC, SOCK_STREAM}, Refuse(EPERM)},
      {"exec: chmod 4755", exec, SYS_chmod, {0, 04755}, Refuse(EPERM)},
      {"exec: chmod 2755", exec, SYS_chmod, {0, 02755}, Refuse(EPERM)},
      {"exec: chmod 1777", exec, SYS_chmod, {0, 01777}, kAllow},
      {"exec: fchmodat 4755", exec, SYS_fchmodat, {0, 0, 04755}, Refuse(EPERM)},
      {"exec: fchmodat2 4755", exec, 452, {0, 0, 04755}, Refuse(EPERM)},
      {"exec: creat 4755", exec, SYS_creat, {0, 04755}, Refuse(EPERM)},
      {"exec: open creates 4755", exec, SYS_open, {0, O_CREAT | O_WRONLY, 04755}, Refuse(EPERM)},
      {"exec: open, mode unused", exec, SYS_open, {0, O_WRONLY, 04755}, kAllow},
      {"exec: opendir, mode unused", exec, SYS_openat, {0, 0, O_DIRECTORY, 06755}, kAllow},
      {"fs: opendir", fs, SYS_openat, {0, 0, O_DIRECTORY | O_CLOEXEC}, kAllow},
      {"exec: openat creates 6644", exec, SYS_openat, {0, 0, O_CREAT, 06644}, Refuse(EPERM)},
      {"exec: openat O_TMPFILE 4755",
       exec,
       SYS_openat,
       {0, 0, O_TMPFILE | O_RDWR, 04755},
       Refuse(EPERM)},
      {"exec: openat creates 0644", exec, SYS_openat, {0, 0, O_CREAT, 0644}, kAllow},
      // Regression: glibc's __O_TMPFILE holds O_DIRECTORY, so an opendir(3) was judged by what
      // happened to lie in the register of a mode that it does not pass.
      {"exec: opendir, mode unused", exec, SYS_openat, {0, 0, O_DIRECTORY, 04755}, kAllow},
      {"exec: mkdirat 2755", exec, SYS_mkdirat, {0, 0, 02755}, Refuse(EPERM)},
      {"exec: mknod 4644", exec, SYS_mknod, {0, 0104644}, Refuse(EPERM)},
      {"exec: TIOCSTI", exec, SYS_ioctl, {0, 0x5412}, Refuse(EPERM)},
      {"exec: TIOCSTI, high half", exec, SYS_ioctl, {0, 0x5412 | kHigh}, Refuse(EPERM)},
      {"exec: TIOCLINUX", exec, SYS_ioctl, {0, 0x541c}, Refuse(EPERM)},
      {"exec: TCGETS", exec, SYS_ioctl, {0, 0x5401}, kAllow},
      {"exec: personality query", exec, SYS_personality, {0xffffffff}, kAllow},
      {"exec: READ_IMPLIES_EXEC", exec, SYS_personality, {0x400000}, Refuse(EPERM)},
      {"exec: seccomp", exec, SYS_seccomp, {}, kAllow},
      {"exec: landlock", exec, SYS_landlock_restrict_self, {}, kAllow},
      {"exec: open_by_handle_at", exec, SYS_open_by_handle_at, {}, Refuse(EPERM)},
  };
  for (const Row& row : rows) {
    const CompiledFilter& filter = FilterFor(row.work_class);
    seccomp_data call = Call(static_cast<uint32_t>(row.number), AUDIT_ARCH_X86_64);
    for (size_t i = 0; i < row.args.size(); i++) call.args[i] = row.args[i];
    EXPECT_EQ(Evaluate({filter.insns, filter.count}, call), row.expected) << row.what;
  }
}

TEST(Filter, KillsTheOtherAbisOfTheMachine) {
  for (const WorkClass work_class : {WorkClass::kFs, WorkClass::kWrite, WorkClass::kExec}) {
    const CompiledFilter& filter = FilterFor(work_class);
    const std::span<const sock_filter> insns(filter.insns, filter.count);
    EXPECT_EQ(Evaluate(insns, Call(3, AUDIT_ARCH_I386)), kKill);
    EXPECT_EQ(Evaluate(insns, Call(0x40000000, AUDIT_ARCH_X86_64)), kKill);
    EXPECT_EQ(Evaluate(insns, Call(kProbeSyscall, AUDIT_ARCH_I386)), kKill);
  }
}

TEST(Filter, SocketIsRefusedInEveryDomain) {
  for (const WorkClass work_class : {WorkClass::kFs, WorkClass::kWrite, WorkClass::kExec}) {
    const CompiledFilter& filter = FilterFor(work_class);
    for (uint64_t domain = 0; domain < 64; domain++) {
      for (uint64_t type = 0; type < 16; type++) {
        EXPECT_EQ(Evaluate({filter.insns, filter.count},
                           Call(SYS_socket, AUDIT_ARCH_X86_64, {domain, type})),
                  Refuse(EPERM));
      }
    }
  }
}

// ------------------------------------------------------------------ identity and size

// Puts the digest together from the filter's answers, as the child does, but by evaluation.
std::vector<uint8_t> AnsweredDigest(std::span<const sock_filter> insns) {
  std::vector<uint8_t> bits;
  for (uint64_t i = 0; i < KRUX_BPF_CHUNKS; i++) {
    const uint32_t action = Evaluate(insns, Call(kProbeSyscall, AUDIT_ARCH_X86_64, {i}));
    EXPECT_EQ(action & SECCOMP_RET_ACTION_FULL, uint32_t{SECCOMP_RET_ERRNO});
    const int width = i == KRUX_BPF_CHUNKS - 1 ? 4 : 12;
    for (int b = width - 1; b >= 0; b--) bits.push_back(action >> b & 1);
  }
  std::vector<uint8_t> bytes(bits.size() / 8);
  for (size_t i = 0; i < bits.size(); i++)
    bytes[i / 8] |= static_cast<uint8_t>(bits[i] << (7 - i % 8));
  return bytes;
}

TEST(Filter, AnswersWithItsOwnDigest) {
  for (const WorkClass work_class : {WorkClass::kFs, WorkClass::kWrite, WorkClass::kExec}) {
    const CompiledFilter& filter = FilterFor(work_class);
    const std::vector<uint8_t> digest(filter.digest, filter.digest + kFilterDigestBytes);
    EXPECT_EQ(AnsweredDigest({filter.insns, filter.count}), digest);
    EXPECT_EQ(Evaluate({filter.insns, filter.count},
                       Call(kProbeSyscall, AUDIT_ARCH_X86_64, {KRUX_BPF_CHUNKS})),
              Refuse(ENOSYS));
    // The digest is that of the program with its answers (its last 23 returns but one) blanked.
    Program blank(filter.insns, filter.insns + filter.count);
    for (size_t i = 0; i < KRUX_BPF_CHUNKS; i++) {
      blank[blank.size() - 1 - KRUX_BPF_CHUNKS + i].k = SECCOMP_RET_ERRNO;
    }
    const auto expected = seccomp::DigestOf(blank);
    EXPECT_EQ(std::vector<uint8_t>(expected.begin(), expected.end()), digest);
  }
}

TEST(Filter, ADifferentRuleGivesADifferentDigest) {
  const auto a = Compile(RulesFromText("unlisted ENOSYS\nallow read\n"), kProbeSyscall).digest;
  const auto b = Compile(RulesFromText("unlisted ENOSYS\nallow write\n"), kProbeSyscall).digest;
  EXPECT_NE(a, b);
}

TEST(Filter, TheNumberTreeStaysSmall) {
  EXPECT_LE(FilterFor(WorkClass::kFs).tree_count, 120);
  EXPECT_LE(FilterFor(WorkClass::kWrite).tree_count, 120);
  EXPECT_LE(FilterFor(WorkClass::kExec).tree_count, 120);
}

// KRUX_REGENERATE_GOLDEN=1 writes the listings anew; the diff is then what a reviewer reads.
TEST(Filter, EqualsTheGoldenListing) {
  const std::pair<WorkClass, const char*> files[] = {
      {WorkClass::kFs, KRUX_SOURCE_DIR "/tests/sandbox/golden/fs.x86_64.bpf"},
      {WorkClass::kWrite, KRUX_SOURCE_DIR "/tests/sandbox/golden/write.x86_64.bpf"},
      {WorkClass::kExec, KRUX_SOURCE_DIR "/tests/sandbox/golden/exec.x86_64.bpf"}};
  for (const auto& [work_class, path] : files) {
    const CompiledFilter& filter = FilterFor(work_class);
    const std::string listing = Disassemble({filter.insns, filter.count});
    if (std::getenv("KRUX_REGENERATE_GOLDEN") != nullptr) std::ofstream(path) << listing;
    std::ifstream in(path);
    const std::string golden((std::istreambuf_iterator<char>(in)),
                             std::istreambuf_iterator<char>());
    EXPECT_EQ(listing, golden) << path << "; KRUX_REGENERATE_GOLDEN=1 writes it anew";
  }
}

#endif  // __x86_64__

// ------------------------------------------------------------------ the rule language

TEST(RuleLanguage, RefusesWhatItDoesNotUnderstand) {
  const char* bad[] = {
      "allow read\n",                                      // no `unlisted`
      "unlisted EWHAT\n",                                  // unknown errno
      "unlisted ENOSYS\npermit read\n",                    // unknown statement
      "unlisted ENOSYS\nallow no_such_call\n",             // unknown name
      "unlisted ENOSYS\nallow\n",                          // no name
      "unlisted ENOSYS\nallow read\nrefuse EPERM read\n",  // two forms
      "unlisted ENOSYS\nallow read\nallow read\n",         // twice
      "unlisted ENOSYS\nallow read if arg6 == 0 else EPERM\n",
      "unlisted ENOSYS\nallow read if arg0 == 0\n",  // no else
      "unlisted ENOSYS\nallow read if arg0 & 1 == 2 else EPERM\n",
      "unlisted ENOSYS\nallow read if arg0 == O_MAYBE else EPERM\n",
      "unlisted ENOSYS\nallow read if arg0 == 0x1ffffffff else EPERM\n",
      "unlisted ENOSYS\nallow read if arg0 == 1 else EPERM\nallow read if arg0 == 2 else EACCES\n",
      "unlisted ENOSYS\nallow read if arg0 == 0 else EPERM trailing\n",
      "unlisted ENOSYS\nkill read if arg0 == 0\n",
      "unlisted ENOSYS\nkill read\nallow read\n",
      "unlisted ENOSYS\nallow \\\n",  // continued into nothing
  };
  for (const char* text : bad) EXPECT_THROW(RulesFromText(text), RuleError) << text;
}

TEST(RuleLanguage, SaysWhereTheMistakeIs) {
  try {
    RulesFromText("unlisted ENOSYS\n\nallow reed  # typo\n");
    FAIL();
  } catch (const RuleError& e) {
    EXPECT_NE(std::string(e.what()).find("text:3: unknown system call `reed`"), std::string::npos)
        << e.what();
  }
}

// The generator's own refusals: a table it cannot encode is an error, never a wrong program.
TEST(Generator, RefusesTablesItCannotEncode) {
  const krux_bpf_leaf leaf{nullptr, 0, 0, kAllow};
  const krux_bpf_range good[] = {{0, 0}, {5, 0}};
  krux_bpf_table table{AUDIT_ARCH_X86_64, 1, 1000, kAllow, {}, good, 2, &leaf, 1};
  sock_filter buffer[128];
  krux_bpf_program out{buffer, 128, 0, 0};
  EXPECT_EQ(krux_bpf_generate(&table, &out), 0);
  krux_bpf_program small{buffer, 20, 0, 0};
  EXPECT_EQ(krux_bpf_generate(&table, &small), KRUX_BPF_ESPACE);
  const krux_bpf_range unsorted[] = {{0, 0}, {5, 0}, {5, 0}};
  const krux_bpf_range late[] = {{1, 0}};
  const krux_bpf_range no_leaf[] = {{0, 1}};
  const std::pair<const krux_bpf_range*, size_t> bad[] = {
      {unsorted, 3}, {late, 1}, {no_leaf, 1}, {good, 0}};
  for (const auto& [ranges, count] : bad) {
    table.ranges = ranges;
    table.range_count = count;
    EXPECT_EQ(krux_bpf_generate(&table, &out), KRUX_BPF_EINPUT);
  }
}

// Random tables, with the ranges looked up one by one as the reference.
TEST(Generator, RandomTablesDecideAsTheirRangesSay) {
  std::mt19937 random(20240601);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  for (int round = 0; round < 300; round++) {
    std::vector<krux_bpf_leaf> leaves;
    const uint32_t leaf_count = 1 + below(12);
    for (uint32_t i = 0; i < leaf_count; i++)
      leaves.push_back({nullptr, 0, 0, Refuse(100 + static_cast<int>(i))});
    std::vector<krux_bpf_range> ranges = {{0, below(leaf_count)}};
    for (uint32_t first = 1 + below(4), n = below(110); n > 0; n--, first += 1 + below(6)) {
      ranges.push_back({first, below(leaf_count)});
    }
    const krux_bpf_table table{AUDIT_ARCH_X86_64,
                               1,
                               kProbeSyscall,
                               Refuse(ENOSYS),
                               {},
                               ranges.data(),
                               ranges.size(),
                               leaves.data(),
                               leaves.size()};
    Program program(1024);
    krux_bpf_program out{program.data(), program.size(), 0, 0};
    ASSERT_EQ(krux_bpf_generate(&table, &out), 0);
    EXPECT_EQ(out.tree_count, std::max<size_t>(ranges.size() - 1, 1));
    program.resize(out.count);
    for (uint32_t number = 0; number < ranges.back().first + 3; number++) {
      uint32_t leaf = 0;
      for (const krux_bpf_range& range : ranges) {
        if (range.first <= number) leaf = range.leaf;
      }
      ASSERT_EQ(Evaluate(program, Call(number, AUDIT_ARCH_X86_64)), leaves[leaf].miss);
    }
  }
}

}  // namespace
}  // namespace krux::sandbox
