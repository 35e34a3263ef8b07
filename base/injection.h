// Injection: what an intruder's code inside a daemon would try, tried there by the daemon's test
// build (krux-auditd-hooks and others). In the programs as shipped every function here is nothing.
//
//   injection::TakeFlags(&argc, argv);   // first in main: --test-inject, --test-leave-out
//   …                                    // the daemon confines itself
//   injection::Run();                    // last before its first byte: one line an attempt on
//   stdout
//
// tests/injection/ holds the attempts.
#pragma once

namespace krux::injection {

#ifdef KRUX_TEST_HOOKS
// Remembers `--test-inject NAME[:ARGUMENT]` and `--test-leave-out LAYER` and takes them out
// of the command line.
void TakeFlags(int* argc, char** argv);
// Runs the named attempts in order; "NAME ERRNO\n" for each, 0 for one that succeeded.
void Run();
// `--test-leave-out` named this layer: "seccomp" or "landlock".
bool LeftOut(const char* layer);
#else
inline void TakeFlags(int*, char**) {}
inline void Run() {}
inline bool LeftOut(const char*) { return false; }
#endif

}  // namespace krux::injection
