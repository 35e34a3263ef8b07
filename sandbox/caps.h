// Capabilities and the other process attributes that decide about privilege: capabilities(7),
// prctl(2). In the child, in this order:
//
//   DropBoundingSet(); LockSecurebits();   // CLONE_NEWUSER reset both: they cannot be inherited
//   setresgid(…); setresuid(…);
//   DropAllCapabilities();                 // ambient, then permitted, effective, inheritable
//   SetNoNewPrivs(); SetNotDumpable(); SetParentDeathSignal(SIGKILL);
//
// All functions are async-signal-safe and answer 0 or -errno.
#pragma once

#include <linux/capability.h>

#include <cstdint>

namespace krux::sandbox {

// Takes every capability the kernel knows out of the bounding set. Needs CAP_SETPCAP.
int DropBoundingSet();

// NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE on, KEEP_CAPS off, all four locked. Needs
// CAP_SETPCAP. With NO_SETUID_FIXUP the later setresuid(2) keeps the capabilities, so that
// DropAllCapabilities() must follow it.
int LockSecurebits();
// The securebits that LockSecurebits() leaves, for the receipt.
int ExpectedSecurebits();

// Empties the ambient, permitted, effective and inheritable sets.
int DropAllCapabilities();

// What a daemon keeps of what it has: a set of 1 << CAP_*. The rest leaves the bounding, permitted
// and effective sets; ambient and inheritable become empty. Needs CAP_SETPCAP. Reads back what is
// left and answers -EPROTO where that is more.
int KeepCapabilities(uint64_t keep);
// The same without the bounding set, for a process that may not or need not change it.
int KeepEffective(uint64_t keep);

// krux-mountd. SYS_ADMIN: copies of mounts, their flags and id maps. SETUID, SETGID, SETFCAP: id
// maps of several lines that reach id 0. DAC_READ_SEARCH: the way to a WORK that only its owner may
// walk.
inline constexpr uint64_t kMountdCapabilities = 1ull << CAP_SYS_ADMIN | 1ull << CAP_SETUID |
                                                1ull << CAP_SETGID | 1ull << CAP_SETFCAP |
                                                1ull << CAP_DAC_READ_SEARCH;
// And until krux-spawnd has its ids: its map files belong to its own uid.
inline constexpr uint64_t kMountdJoinCapabilities = 1ull << CAP_DAC_OVERRIDE;
// A rootless krux-mountd, inside krux-spawnd's user namespace.
inline constexpr uint64_t kMountdRootlessCapabilities = 1ull << CAP_SYS_ADMIN;

// krux-spawnd, all in its own user namespace and worth nothing outside of it. SYS_ADMIN,
// SYS_CHROOT: mounts, namespaces, its filter. SETUID, SETGID, SETFCAP: the maps of workers
// (rootless they reach its own id 0). SYS_PTRACE: measuring workers, which are not dumpable.
// DAC_READ_SEARCH: looking for set-user-ID files in a WORK that only its owner may read.
inline constexpr uint64_t kSpawndCapabilities =
    1ull << CAP_SYS_ADMIN | 1ull << CAP_SYS_CHROOT | 1ull << CAP_SETUID | 1ull << CAP_SETGID |
    1ull << CAP_SETFCAP | 1ull << CAP_SYS_PTRACE | 1ull << CAP_DAC_READ_SEARCH;

int SetNoNewPrivs();

// dumpable 0: no core, /proc/<pid> belongs to uid 0 of the mapping. setresuid(2) and execve(2) set
// it anew, so this comes after the ids.
int SetNotDumpable();

// `signal` is sent when the thread that created the caller dies. Across a pid namespace getppid(2)
// is 0 with a living and with a dead parent, so a parent that died before this call is not seen
// here; the caller watches its channel to the parent for that.
int SetParentDeathSignal(int signal);

// What only the process itself can say; class `self` in a receipt.
struct SelfFacts {
  int securebits;
  int parent_death_signal;
  int dumpable;
  int no_new_privs;
};
int ReadSelfFacts(SelfFacts* facts);

}  // namespace krux::sandbox
