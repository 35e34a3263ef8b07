// What a confined worker is given, and the function that does its work. The sandbox knows no
// capability names: krux-spawnd's main (runtime/worker/main.cc) passes the entry in.
#pragma once

#include <cstdint>
#include <span>

#include "sandbox/spec.h"

namespace krux::sandbox {

struct WorkerContext {
  std::span<const uint8_t> request;  // Spec::request
  WorkClass work_class;
  int result_fd;          // memfd, laid out as sandbox/result.h
  uint8_t* result_map;    // the whole memfd, mapped read-write before confinement
  uint64_t result_bytes;  // capacity of the data part
  int input_fd = -1;      // sealed memfd that came with the call; -1: none
  uint64_t input_bytes = 0;
};

// Runs after the receipt was found equal to the Spec and the intent is durable. Returns the exit
// status of the worker. Confined: no new socket, no file outside the grants.
using WorkerEntry = int (*)(const WorkerContext& context);

}  // namespace krux::sandbox
