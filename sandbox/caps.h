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
