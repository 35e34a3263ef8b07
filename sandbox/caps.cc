#include "sandbox/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace krux::sandbox {
namespace {

constexpr int kSecurebits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |                    //
                            SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |  //
                            SECBIT_KEEP_CAPS_LOCKED |                                 //
                            SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

// More than any kernel has; a 64-bit mask is what capset(2) can carry.
constexpr unsigned long kCapabilityLimit = 64;

int Prctl(int option, unsigned long a = 0, unsigned long b = 0) {
  return prctl(option, a, b, 0, 0) < 0 ? -errno : 0;
}

int DropBoundingSetBut(uint64_t keep) {
  for (unsigned long capability = 0; capability < kCapabilityLimit; capability++) {
    // The kernel's own end of the list, whatever the headers at build time said: EINVAL.
    const int present = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (present < 0) return capability > 0 && errno == EINVAL ? 0 : -errno;
    if (present == 0 || (keep >> capability & 1) != 0) continue;
    if (const int error = Prctl(PR_CAPBSET_DROP, capability); error < 0) return error;
  }
  return 0;
}

}  // namespace

int DropBoundingSet() { return DropBoundingSetBut(0); }

int KeepEffective(uint64_t keep) {
  constexpr int kHalves = _LINUX_CAPABILITY_U32S_3;
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[kHalves] = {};
  if (syscall(SYS_capget, &header, data) < 0) return -errno;
  for (int half = 0; half < kHalves; half++) {
    data[half].permitted &= static_cast<uint32_t>(keep >> 32 * half);
    data[half].effective = data[half].permitted;
    data[half].inheritable = 0;  // and with it the ambient set: capabilities(7)
  }
  if (syscall(SYS_capset, &header, data) < 0) return -errno;
  if (syscall(SYS_capget, &header, data) < 0) return -errno;
  for (int half = 0; half < kHalves; half++) {
    const uint32_t left = data[half].permitted | data[half].effective | data[half].inheritable;
    if ((left & ~static_cast<uint32_t>(keep >> 32 * half)) != 0) return -EPROTO;
  }
  return 0;
}

int KeepCapabilities(uint64_t keep) {
  if (const int error = DropBoundingSetBut(keep); error < 0) return error;
  return KeepEffective(keep);
}

int LockSecurebits() { return Prctl(PR_SET_SECUREBITS, kSecurebits); }

int ExpectedSecurebits() { return kSecurebits; }

int DropAllCapabilities() {
  // Emptying the inheritable set would empty the ambient set with it; said twice on purpose, so
  // that neither step hides the failure of the other.
  if (const int error = Prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL); error < 0) return error;
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

int SetNoNewPrivs() { return Prctl(PR_SET_NO_NEW_PRIVS, 1); }

int SetNotDumpable() { return Prctl(PR_SET_DUMPABLE, 0); }

int SetParentDeathSignal(int signal) {
  return Prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(signal));
}

int ReadSelfFacts(SelfFacts* facts) {
  facts->securebits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
  facts->dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
  facts->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
  if (facts->securebits < 0 || facts->dumpable < 0 || facts->no_new_privs < 0) return -errno;
  return Prctl(PR_GET_PDEATHSIG, reinterpret_cast<unsigned long>(&facts->parent_death_signal));
}

}  // namespace krux::sandbox
