// krux-spawnd: makes one confined process per call. Single thread, no secrets, no host capability.
//
//   int main(int argc, char** argv) { return krux::sandbox::RunSpawnd(argc, argv, Serve); }
#pragma once

#include "sandbox/worker_entry.h"

namespace krux::sandbox {

// `entry` is what a confined worker runs (runtime/worker). Returns the exit status.
int RunSpawnd(int argc, char** argv, WorkerEntry entry);

}  // namespace krux::sandbox
