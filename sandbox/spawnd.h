// krux-spawnd: makes one confined process per call. Single thread, no secrets, no host capability.
//
//   int main(int argc, char** argv) { return RunSpawnd(argc, argv, {Serve, WatchSecrets}); }
#pragma once

#include "sandbox/watch.h"
#include "sandbox/worker_entry.h"

namespace krux::sandbox {

// What the confined processes run (runtime/worker).
struct Entries {
  WorkerEntry work = nullptr;
  WatchEntry watch = nullptr;
};

// Returns the exit status.
int RunSpawnd(int argc, char** argv, const Entries& entries);

}  // namespace krux::sandbox
