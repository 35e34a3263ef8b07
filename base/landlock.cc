#include "base/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace krux {
namespace {

// The rights by name, from Documentation/userspace-api/landlock.rst ("Access rights"): the header
// of the oldest supported build system ends at ABI 2, the kernel that runs may know more.
enum Fs : uint64_t {
  kExecute = 1ull << 0,
  kWriteFile = 1ull << 1,
  kReadFile = 1ull << 2,
  kReadDir = 1ull << 3,
  kRemoveDir = 1ull << 4,
  kRemoveFile = 1ull << 5,
  kMakeChar = 1ull << 6,
  kMakeDir = 1ull << 7,
  kMakeReg = 1ull << 8,
  kMakeSock = 1ull << 9,
  kMakeFifo = 1ull << 10,
  kMakeBlock = 1ull << 11,
  kMakeSym = 1ull << 12,
  kRefer = 1ull << 13,     // ABI 2: rename and link across directories
  kTruncate = 1ull << 14,  // ABI 3
  kIoctlDev = 1ull << 15,  // ABI 5: ioctl on character and block devices
};
constexpr uint64_t kAbi1 = (1ull << 13) - 1;

enum Net : uint64_t { kBindTcp = 1ull << 0, kConnectTcp = 1ull << 1 };                 // ABI 4
enum Scope : uint64_t { kScopeAbstractSocket = 1ull << 0, kScopeSignal = 1ull << 1 };  // ABI 6

// Flags of landlock_restrict_self, ABI 7. A refusal is krux's to record. Without these each call's
// canary would stand in the host's audit log, and an agent could fill that log.
enum RestrictFlag : uint32_t { kLogSameExecOff = 1u << 0, kLogSubdomainsOff = 1u << 2 };

// What one kind of access means for a directory and everything below it. A file takes the part of
// it that a file can have: the kernel refuses the others with EINVAL.
constexpr uint64_t kRead = kReadFile | kReadDir;
// Never granted, although writable: MAKE_CHAR and MAKE_BLOCK (devices), MAKE_SOCK (a door that
// others can knock at), MAKE_FIFO (a channel that no record sees, and that blocks whoever on the
// host opens it), IOCTL_DEV (drives a device). Symbolic links are only names: their target is
// checked when it is opened, inside and, by whoever follows them, outside.
constexpr uint64_t kWrite =
    kWriteFile | kTruncate | kMakeReg | kMakeDir | kMakeSym | kRemoveFile | kRemoveDir | kRefer;
constexpr uint64_t kOfFile = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDev;

constexpr int kRulePathBeneath = 1;         // enum landlock_rule_type
constexpr uint32_t kVersionFlag = 1u << 0;  // LANDLOCK_CREATE_RULESET_VERSION

struct RulesetAttr {  // struct landlock_ruleset_attr, as of ABI 6
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};
struct __attribute__((packed)) PathBeneathAttr {  // struct landlock_path_beneath_attr
  uint64_t allowed_access;
  int32_t parent_fd;
};

// Only as much of the structure as the ABI knows: an older kernel refuses a longer one that is not
// zero with E2BIG.
size_t AttrSize(int abi) {
  if (abi >= 6) return sizeof(RulesetAttr);
  if (abi >= 4) return offsetof(RulesetAttr, scoped);
  return offsetof(RulesetAttr, handled_access_net);
}

uint64_t AccessOf(const LandlockPath& rule, bool is_directory, uint64_t handled) {
  uint64_t access = 0;
  if (rule.read) access |= kRead;
  if (rule.write) access |= kWrite;
  if (rule.exec) access |= kExecute;
  if (rule.list) access |= kReadDir;
  return access & handled & (is_directory ? ~uint64_t{0} : uint64_t{kOfFile});
}

int AddRule(int ruleset, const LandlockPath& rule, uint64_t handled) {
  const int fd = open(rule.path, O_PATH | O_CLOEXEC);
  if (fd < 0) return -errno;
  int result = 0;
  struct stat st;
  if (fstat(fd, &st) < 0) result = -errno;
  PathBeneathAttr attr = {0, fd};
  if (result == 0) attr.allowed_access = AccessOf(rule, S_ISDIR(st.st_mode), handled);
  // A rule without any access is ENOMSG for the kernel; here it is a grant that grants nothing.
  if (result == 0 && attr.allowed_access != 0 &&
      syscall(SYS_landlock_add_rule, ruleset, kRulePathBeneath, &attr, 0u) < 0) {
    result = -errno;
  }
  close(fd);
  return result;
}

int Enter(int abi, const LandlockRights& rights, const LandlockPath* rules, size_t n) {
  const RulesetAttr attr = {rights.fs, rights.net, rights.scoped};
  const long ruleset = syscall(SYS_landlock_create_ruleset, &attr, AttrSize(abi), 0u);
  if (ruleset < 0) return -errno;
  const int fd = static_cast<int>(ruleset);
  int result = 0;
  for (size_t i = 0; i < n && result == 0; i++) result = AddRule(fd, rules[i], rights.fs);
  if (result == 0) {
    const uint32_t flags = abi >= 7 ? kLogSameExecOff | kLogSubdomainsOff : 0;
    if (syscall(SYS_landlock_restrict_self, fd, flags) < 0) result = -errno;
  }
  close(fd);
  return result;
}

}  // namespace

LandlockRights HandledRights(int abi) {
  LandlockRights rights = {0, 0, 0};
  if (abi >= 1) rights.fs = kAbi1;
  if (abi >= 2) rights.fs |= kRefer;
  if (abi >= 3) rights.fs |= kTruncate;
  if (abi >= 4) rights.net = kBindTcp | kConnectTcp;
  if (abi >= 5) rights.fs |= kIoctlDev;
  if (abi >= 6) rights.scoped = kScopeAbstractSocket | kScopeSignal;
  return rights;
}

int LandlockAbi() {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersionFlag);
  if (abi < 0) return -errno;
  return abi > kLandlockNewest ? kLandlockNewest : static_cast<int>(abi);
}

int RestrictPaths(int abi, const LandlockPath* rules, size_t n) {
  if (abi < kLandlockFloor || abi > kLandlockNewest) return -EOPNOTSUPP;
  return Enter(abi, HandledRights(abi), rules, n);
}

int RestrictNetworkAndScopes(int abi) {
  LandlockRights rights = HandledRights(abi);
  rights.fs = 0;
  if (rights.net == 0 && rights.scoped == 0) return 0;
  return Enter(abi, rights, nullptr, 0);
}

}  // namespace krux
